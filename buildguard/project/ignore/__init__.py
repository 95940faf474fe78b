"""The ignore rules of gcloud and of docker."""
