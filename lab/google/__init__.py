"""Google Cloud's storage and messages on one machine."""

from lab.google.local_google import LocalGoogle as LocalGoogle
