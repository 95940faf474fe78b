"""A small service: orders are put in, and totals come out."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

app = FastAPI(title="orders")
_totals: dict[str, float] = {}


class Order(BaseModel):
    customer: str = Field(min_length=1)
    amount: float = Field(gt=0)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/orders", status_code=201)
def add_order(order: Order) -> dict[str, float]:
    _totals[order.customer] = _totals.get(order.customer, 0.0) + order.amount
    return {"total": _totals[order.customer]}


@app.get("/orders/{customer}")
def read_total(customer: str) -> dict[str, float]:
    if customer not in _totals:
        raise HTTPException(404, f"no order of {customer!r}")
    return {"total": _totals[customer]}
