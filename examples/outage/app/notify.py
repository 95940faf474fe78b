"""What customers are told."""


def greeting(order):
    return f"Dear {
        order['customer']['name']  # as the customer wrote it
    }, your order is on its way"
