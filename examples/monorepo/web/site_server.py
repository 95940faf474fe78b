"""The site of the shop: one page."""

import http.server
import os

PAGE = "<h1>Shop</h1>\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every path with the page."""

    def do_GET(self) -> None:
        """The page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"{PAGE}<!-- {os.environ.get('K_REVISION', '')} -->".encode())

    def log_message(self, *args: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
