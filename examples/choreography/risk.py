"""Looks at every order that is placed. It changes nothing, so there is nothing to undo.

| order | what happens |
|---|---|
| `customer_id` begins with `fraud-` | OrderSuspected |
| any other | OrderCleared |
"""

from service import Service


def react(book, event):
    if event.name != "OrderPlaced" or book.status(event.value["order_id"]):
        return
    suspected = event.value["customer_id"].startswith("fraud-")
    book.enter(event.value["order_id"], "suspected" if suspected else "cleared")
    yield "risk", "OrderSuspected" if suspected else "OrderCleared", event.value["order_id"], {}


Service("risk", ["orders"], react).run()
