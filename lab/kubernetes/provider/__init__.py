"""Stand-in for `pulumi-resource-kubernetes`: server-side apply through the official client, and Helm releases by the real Helm.

The API server is the judge: a preview asks it for a dry run, so what it refuses is refused there in its own words. servicer.py answers
the engine, objects.py makes objects, release.py makes Helm releases, cluster.py says which cluster it is.

What it does not do: wait for kinds that need machines (Deployment, Pod, Service and so on: refused unless they skip the wait), `Patch`
resources, charts and YAML files as components, and anything but server-side apply.
"""
