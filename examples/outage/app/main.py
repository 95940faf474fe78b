"""The entry point: routes, and a server from the standard library."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.invoices import invoice
from app.notify import greeting
from app.orders import find, summary

ROUTES = {
    "/healthz": lambda: "ok",
    "/orders": lambda: "\n".join(summary(order) for order in find()),
    "/invoice": lambda: invoice(find()[0]),
    "/greeting": lambda: greeting(find()[0]),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        route = ROUTES.get(self.path)
        body = (route() if route else "not found").encode()
        self.send_response(200 if route else 404)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
