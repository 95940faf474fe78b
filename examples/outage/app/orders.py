"""Orders, as the database would give them."""


def find():
    return [{"id": 7, "customer": {"name": "Ada"}, "lines": [{"sku": "A-1", "price": 20}, {"sku": "B-2", "price": 5}]}]


def total(order):
    return sum(line["price"] for line in order["lines"])


def summary(order):
    return f"order {order["id"]} for {order["customer"]["name"]}: {total(order)} EUR"
