"""Google Cloud's storage and messages on one machine."""

from lab.google.local_google import LocalGoogle as LocalGoogle
from lab.google.metadata_server import MetadataServer as MetadataServer
