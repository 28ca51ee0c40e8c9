"""Prints the services' books as JSON: {"stock": {"o-1": "reserved"}, ...}.

usage: books.py [FOLDER]
"""

import json
import sqlite3
import sys
from pathlib import Path

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "./shop-data")
books = {}
for path in sorted(folder.glob("*.db")):
    database = sqlite3.connect(path, timeout=10)
    books[path.stem] = dict(database.execute("select order_id, status from book order by order_id"))
print(json.dumps(books, indent=1))
