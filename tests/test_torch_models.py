"""The benchmark's networks in PyTorch against the published ones."""

import pytest

from ecg_lib.models import PUBLISHED

torch = pytest.importorskip("torch", reason="PyTorch is installed for the benchmark alone")


@pytest.mark.parametrize("name", PUBLISHED)
def test_twin_has_the_published_parameters_and_one_logit_a_class(name):
    from benchmarks.speed.torch_models import MODELS, PARAMETERS

    network = MODELS[name]().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
    with torch.no_grad():
        assert network(torch.zeros(2, 13, 64, 64)).shape == (2, 5)
