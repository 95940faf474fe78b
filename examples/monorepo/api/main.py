"""The API of the shop: a price list."""

import http.server
import json
import os

from shop.prices import price_text

PRICES = {"tea": 350, "cake": 420}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /healthz and everything else."""

    def do_GET(self) -> None:
        """The price list, or that it is healthy."""
        body = {"revision": os.environ.get("K_REVISION", ""), "prices": {k: price_text(v) for k, v in PRICES.items()}}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
