"""Invoices as plain text."""

from app.orders import total


def invoice(order):
    lines = [f"{line['sku']:<10}{line['price']:>8}" for line in order["lines"]]
    return f"Invoice {order['id']}\n{'\n'.join(lines)}\n{'total':<10}{total(order):>8}"
