"""The servers that a script starts itself: what they listen on, and where nothing is known."""

from __future__ import annotations

import ast

import pytest

from buildguard.startup.script_servers import script_servers


def _addresses(text: str) -> list[tuple[str, str]]:
    return [(server.host, server.port) for server in script_servers(ast.parse(text))]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("import uvicorn\nuvicorn.run('a:b')", "127.0.0.1", "8000"),
        ("from uvicorn import run as go\ngo('a:b', host='0.0.0.0', port=80)", "0.0.0.0", "80"),
        ("import waitress\nwaitress.serve(app)", "0.0.0.0", "8080"),
        ("from waitress import serve\nserve(app, host='localhost', port=8080)", "localhost", "8080"),
        ("from aiohttp import web\nweb.run_app(app, host='127.0.0.1')", "127.0.0.1", "8080"),
        ("from wsgiref.simple_server import make_server\nmake_server('', 8080, app)", "0.0.0.0", "8080"),
        ("from http.server import *\nimport http.server\nhttp.server.HTTPServer(('::1', 1), H)", "::1", "1"),
        ("from flask import Flask\na = Flask(__name__)\na.run()", "127.0.0.1", "5000"),
        ("import flask\na = flask.Flask(__name__)\na.run('0.0.0.0', 8080)", "0.0.0.0", "8080"),
        ("from flask_socketio import SocketIO\ns = SocketIO(app)\ns.run(app, '0.0.0.0')", "0.0.0.0", "5000"),
        ("import gradio as gr\nd = gr.Blocks()\nd.launch(server_name='127.0.0.1')", "127.0.0.1", "$"),
        ("import os, uvicorn\nuvicorn.run(a, port=int(os.environ['PORT']))", "127.0.0.1", "$PORT"),
        ("import asyncio, bottle\nasync def main():\n  bottle.run(host=HOST)\nasyncio.run(main())", "$", "8080"),
        ("import socketserver as s\nwith s.TCPServer(('', 8080), H) as x:\n  x.serve_forever()", "0.0.0.0", "8080"),
    ],
)
def test_the_address_of_a_server(text: str, host: str, port: str) -> None:
    assert _addresses(text) == [(host, port)]


@pytest.mark.parametrize(
    "text",
    [
        "def run(a): pass\nrun('a:b')",
        "import uvicorn\ndef never():\n  uvicorn.run('a:b')",
        "import uvicorn\nif x:\n  uvicorn.run('a:b')",
        "import uvicorn\nuvicorn.run('a:b', uds='/x')",
        "import uvicorn\nuvicorn.run('a:b', **options)",
        "import waitress\nwaitress.serve(app, listen='*:9000')",
        "import gradio as gr\nd = gr.Blocks()\nd.launch()",
        "from http.server import HTTPServer\nHTTPServer(ADDRESS, H)",
        "import mine\nmine.HTTPServer(('127.0.0.1', 8080), H)",
    ],
)
def test_what_starts_no_server_for_certain(text: str) -> None:
    assert _addresses(text) == []
