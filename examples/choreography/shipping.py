"""Prepares a shipment for every order that is ready. Once that is done there is no way back.

| order | what happens |
|---|---|
| `order_id` begins with `remote-` | ShipmentRefused |
| any other | ShipmentPrepared |
"""

from service import Service


def react(book, event):
    order_id = event.value["order_id"]
    if event.name != "OrderReady" or book.status(order_id):
        return
    if order_id.startswith("remote-"):
        book.enter(order_id, "refused")
        yield "shipping", "ShipmentRefused", order_id, {"reason": "no carrier goes there"}
    else:
        book.enter(order_id, "prepared", f"t-{order_id}")
        yield "shipping", "ShipmentPrepared", order_id, {"tracking": f"t-{order_id}"}


Service("shipping", ["orders"], react).run()
