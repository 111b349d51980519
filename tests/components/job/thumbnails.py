from spotbatch import BatchWorker


class Thumbnails(BatchWorker):
    def process_item(self, item):
        return item
