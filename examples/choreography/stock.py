"""Reserves stock for every order that is placed, and gives it free again on request.

| order | what happens |
|---|---|
| a line's `sku` begins with `sold-out` | StockRefused |
| a line's `sku` begins with `twice-` | StockReserved is published twice, as after a crash between publishing and noting it |
| any other | StockReserved |
"""

import json

from service import Service


def react(book, event):
    order_id = event.value["order_id"]
    if event.name == "OrderPlaced":
        if book.status(order_id):
            return  # Placed twice, or given free before it was reserved: then it never is.
        skus = [line["sku"] for line in event.value["lines"]]
        if any(sku.startswith("sold-out") for sku in skus):
            book.enter(order_id, "refused")
            yield "stock", "StockRefused", order_id, {"reason": "sold out"}
            return
        book.enter(order_id, "reserved", json.dumps(event.value["lines"]))
        reserved = "stock", "StockReserved", order_id, {"reservation": f"r-{order_id}"}
        yield reserved
        if any(sku.startswith("twice-") for sku in skus):
            yield reserved
    elif event.name == "ReleaseRequested":
        # It may come for what was refused, or before the order itself: nothing is reserved either way, and that is
        # what the event says.
        book.enter(order_id, "released")
        yield "stock", "StockReleased", order_id, {}


Service("stock", ["orders", "stock"], react).run()
