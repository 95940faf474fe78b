from fastapi.testclient import TestClient

from app.main import app

client = TestClient(app)


def test_orders_add_up() -> None:
    client.post("/orders", json={"customer": "ann", "amount": 2})

    assert client.post("/orders", json={"customer": "ann", "amount": 3}).json() == {"total": 5}
    assert client.get("/orders/ann").json() == {"total": 5}


def test_an_order_needs_an_amount() -> None:
    assert client.post("/orders", json={"customer": "ann", "amount": 0}).status_code == 422


def test_an_unknown_customer() -> None:
    assert client.get("/orders/bob").status_code == 404
