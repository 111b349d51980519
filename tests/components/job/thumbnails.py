from spotbatch import BatchWorker  # pyright: ignore


class Thumbnails(BatchWorker):
    def process_item(self, item):
        return item
