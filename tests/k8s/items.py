"""The register of the 42 items: each module of items adds its own with @item. An item is a function of (overlay, site) that returns
what shows that it holds, or raises Failed, Waits or Skipped."""

ITEMS = {}


def item(number, title):
    def add(function):
        ITEMS[number] = (title, function)
        return function
    return add
