"""`python -m lab.kubernetes.provider`: print a port and serve the Kubernetes stand-in on it until the engine ends."""

from lab.kubernetes.provider.servicer import KubernetesProvider
from lab.provider.serving import serve

if __name__ == "__main__":
    serve(KubernetesProvider())
