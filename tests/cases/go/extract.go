// Extracts an archive with Go's archive/tar or archive/zip, the way a builder does: extract tar|zip FILE FOLDER
package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(path string, mode os.FileMode, source io.Reader) {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	os.Remove(path)
	permission := os.FileMode(0o644)
	if mode&0o111 != 0 {
		permission = 0o755
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, permission)
	check(err)
	_, err = io.Copy(file, source)
	check(err)
	check(file.Close())
}

func link(path, text string) {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	os.Remove(path)
	check(os.Symlink(text, path))
}

// unpacked is the content of a file, which may be gzipped.
func unpacked(file *os.File) io.Reader {
	head := make([]byte, 2)
	count, _ := io.ReadFull(file, head)
	_, err := file.Seek(0, io.SeekStart)
	check(err)
	if count < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return file
	}
	reader, err := gzip.NewReader(file)
	check(err)
	return reader
}

func readTar(name, folder string) {
	file, err := os.Open(name)
	check(err)
	reader := tar.NewReader(unpacked(file))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return
		}
		check(err)
		path := filepath.Join(folder, header.Name)
		switch header.Typeflag {
		case tar.TypeDir:
			check(os.MkdirAll(path, 0o755))
		case tar.TypeReg, tar.TypeRegA:
			write(path, header.FileInfo().Mode(), reader)
		case tar.TypeSymlink:
			link(path, header.Linkname)
		case tar.TypeLink:
			check(os.MkdirAll(filepath.Dir(path), 0o755))
			os.Remove(path)
			check(os.Link(filepath.Join(folder, header.Linkname), path))
		case tar.TypeXGlobalHeader:
		default:
			check(fmt.Errorf("%s: type %q", header.Name, header.Typeflag))
		}
	}
}

func readZip(name, folder string) {
	archive, err := zip.OpenReader(name)
	check(err)
	for _, member := range archive.File {
		path := filepath.Join(folder, member.Name)
		if member.FileInfo().IsDir() {
			check(os.MkdirAll(path, 0o755))
			continue
		}
		source, err := member.Open()
		check(err)
		if member.Mode()&os.ModeSymlink != 0 {
			text, err := io.ReadAll(source)
			check(err)
			link(path, string(text))
			continue
		}
		write(path, member.Mode(), source)
	}
}

func main() {
	if os.Args[1] == "tar" {
		readTar(os.Args[2], os.Args[3])
	} else {
		readZip(os.Args[2], os.Args[3])
	}
}
