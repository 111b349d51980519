"""A provider of one resource, `echo:index:Thing`, that answers what it is given; a component host and a provider start the same way.

Inputs with a meaning: `wait` (seconds that a create takes), `name` (made up with a random end if missing, replaced when it changes).
"""

import secrets
import signal
import sys
import time
from concurrent import futures

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def struct(values):
    message = struct_pb2.Struct()
    message.update(values)
    return message


class Echo(provider_pb2_grpc.ResourceProviderServicer):
    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def GetSchema(self, request, context):
        return provider_pb2.GetSchemaResponse(schema='{"name": "echo", "version": "1.0.0"}')

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request, context):
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True)

    def Check(self, request, context):
        news, olds = MessageToDict(request.news), MessageToDict(request.olds)
        news.setdefault("name", olds.get("name") or f"{request.urn.split('::')[-1]}-{secrets.token_hex(4)[:7]}")
        return provider_pb2.CheckResponse(inputs=struct(news))

    def Diff(self, request, context):
        old, new = MessageToDict(request.old_inputs), MessageToDict(request.news)
        changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=changed, replaces=[key for key in changed if key == "name"])

    def Create(self, request, context):
        properties = MessageToDict(request.properties)
        if not request.preview:
            time.sleep(properties.get("wait", 0))
        properties["token"] = UNKNOWN if request.preview else "t-1"
        return provider_pb2.CreateResponse(id="" if request.preview else "id-1", properties=struct(properties))

    def Update(self, request, context):
        return provider_pb2.UpdateResponse(properties=struct({**MessageToDict(request.news), "token": "t-1"}))

    def Read(self, request, context):
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request, context):
        return empty_pb2.Empty()

    def Cancel(self, request, context):
        return empty_pb2.Empty()


signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
provider_pb2_grpc.add_ResourceProviderServicer_to_server(Echo(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
