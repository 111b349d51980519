"""Stand-in for `pulumi-resource-aws`: real API calls with boto3 to the local cloud, and a judge of what AWS itself would refuse.

servicer.py answers the engine; judge.py, schema.py, shapes.py and policies.py say what AWS would refuse; one module per service says
what each of its resource types is. A new resource type is a class in the module of its service.

What it shows: names and kinds as the AWS package declares them; enums, ranges, lengths and patterns as botocore has them; the rules
between properties that are written beside each type; replacement or update; drift. What it does not prove: quotas, prices, permissions
of whoever deploys, which instance types a region really offers, and anything that only AWS's own servers check.
"""
