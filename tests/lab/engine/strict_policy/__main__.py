"""A policy pack that refuses every Thing called `forbidden`, on the bare protocol: the lab does not need the policy SDK."""

from concurrent import futures

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2


class Strict(analyzer_pb2_grpc.AnalyzerServicer):
    def Handshake(self, request, context):
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetAnalyzerInfo(self, request, context):
        policy = analyzer_pb2.PolicyInfo(
            name="no-forbidden",
            description="Nothing is called forbidden.",
            enforcementLevel=analyzer_pb2.MANDATORY,
            message="Nothing is called forbidden.",
        )
        return analyzer_pb2.AnalyzerInfo(name="strict", version="1.0.0", policies=[policy], supportsConfig=False)

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def ConfigureStack(self, request, context):
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Configure(self, request, context):
        return empty_pb2.Empty()

    def Analyze(self, request, context):
        if request.name != "forbidden":
            return analyzer_pb2.AnalyzeResponse()
        found = analyzer_pb2.AnalyzeDiagnostic(
            policyName="no-forbidden",
            policyPackName="strict",
            policyPackVersion="1.0.0",
            message=f"{request.name} is not a name",
            enforcementLevel=analyzer_pb2.MANDATORY,
            urn=request.urn,
        )
        return analyzer_pb2.AnalyzeResponse(diagnostics=[found])

    def AnalyzeStack(self, request, context):
        return analyzer_pb2.AnalyzeResponse()

    def Remediate(self, request, context):
        return analyzer_pb2.RemediateResponse()

    def Cancel(self, request, context):
        return empty_pb2.Empty()


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Strict(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
