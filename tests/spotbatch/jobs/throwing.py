"""A job with a state, whose last item always raises: what it did since its checkpoint is done again."""

from counted import Running


class Throwing(Running):
    checkpoint_items = 100

    def process_item(self, item):
        if item == 17:
            raise ValueError("bad pixel")
        return super().process_item(item)
