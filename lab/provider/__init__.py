"""Stand-in for `pulumi-resource-aws`: real API calls with boto3 to the local cloud, and a judge of what AWS itself would refuse.

servicer.py answers the engine; one module per service says what each resource type is; wire.py, schema.py, shapes.py and policies.py
are what they share. A new resource type is a class in the module of its service.
"""
