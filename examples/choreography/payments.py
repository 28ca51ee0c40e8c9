"""Takes the money for every order that is placed, and gives it back on request.

Its events have no headers at all: their name is the field `type` of the value.

| order | what happens |
|---|---|
| `customer_id` begins with `declined-` | PaymentDeclined |
| `customer_id` begins with `expired-` | CardExpired |
| any other | PaymentCaptured |
"""

from service import Service, with_fields


def react(book, event):
    order_id = event.value["order_id"]
    if event.name == "OrderPlaced":
        if book.status(order_id):
            return  # Placed twice, or refunded before it was paid: then it never is.
        customer, total = event.value["customer_id"], event.value["total"]
        if customer.startswith("declined-"):
            book.enter(order_id, "declined")
            yield "payments", "PaymentDeclined", order_id, {}
        elif customer.startswith("expired-"):
            book.enter(order_id, "expired")
            yield "payments", "CardExpired", order_id, {}
        else:
            book.enter(order_id, "captured", f"{total:.2f}")
            yield "payments", "PaymentCaptured", order_id, {"payment": f"p-{order_id}", "amount": total}
    elif event.name == "RefundRequested":
        # What was never paid is not paid any more from now on, which is all that was asked for.
        book.enter(order_id, "refunded")
        yield "payments", "PaymentRefunded", order_id, {}


Service("payments", ["orders", "payments"], react, form=with_fields).run()
