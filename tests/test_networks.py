"""Reward networks, policies and acting of the control track."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prefrl.control.acting import Actor
from prefrl.control.convolutions import ConvLayer, FrameNormaliser, feature_sizes, orthogonal_
from prefrl.control.policies import PixelBody, Policy, VectorBody, make_policy
from prefrl.control.reward_networks import PixelRewardNetwork, VectorRewardNetwork
from prefrl.errors import UsageError
from prefrl.member_layers import MemberLinear
from prefrl.moments import RunningMoments

MEMBERS = 3
CPU = torch.device("cpu")
seeds = st.integers(0, 2**16)


def frames(*leading: int, size: int = 84, channels: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*leading, size, size, channels), dtype=torch.uint8, generator=generator)


def pixel_network(**settings: Any) -> PixelRewardNetwork:
    torch.manual_seed(0)
    return PixelRewardNetwork((84, 84, 4), members=MEMBERS, **settings)


def blocks(network: PixelRewardNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution with the batch normalisation behind it."""
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return list(zip(convs, norms, strict=True))


# Convolutions.


def test_frames_are_divided_by_255_until_they_are_measured() -> None:
    images = frames(3, size=20)
    expected = images.permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(FrameNormaliser((20, 20, 4))(images), expected)


def test_measured_frames_have_mean_0_and_deviation_1_in_every_pixel() -> None:
    images = frames(40, size=9)
    normaliser = FrameNormaliser((9, 9, 4))
    normaliser.measure(images, chunk=7)
    normal = normaliser(images)
    torch.testing.assert_close(normal.mean(0), torch.zeros(4, 9, 9), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(normal.std(0, correction=0), torch.ones(4, 9, 9))


def test_pixels_that_never_change_become_zero_and_rare_ones_stay_bounded() -> None:
    images = torch.full((50, 6, 6, 4), 87, dtype=torch.uint8)
    normaliser = FrameNormaliser((6, 6, 4))
    normaliser.measure(images)
    torch.testing.assert_close(normaliser(images), torch.zeros(50, 4, 6, 6), atol=1e-5, rtol=0.0)
    images[0, 2, 3] = 236
    assert normaliser(images)[0, :, 2, 3].tolist() == [5.0] * 4


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    layers=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=4),
)
def test_every_layer_fits_into_frames_of_any_size(
    height: int, width: int, layers: list[tuple[int, int]]
) -> None:
    table = [ConvLayer(1, kernel, stride) for kernel, stride in layers]
    x = torch.zeros(1, 1, height, width)
    for layer, kernel in feature_sizes(table, (height, width, 1)):
        assert 1 <= kernel <= layer.kernel
        assert kernel == layer.kernel or kernel == min(x.shape[2:])
        x = nn.functional.conv2d(x, torch.ones(1, 1, kernel, kernel), stride=layer.stride)
    assert x.numel() > 0


def test_orthogonal_layers_have_the_gain_and_no_bias() -> None:
    torch.manual_seed(0)
    layer = orthogonal_(nn.Linear(6, 3), 2.0)
    torch.testing.assert_close(layer.weight @ layer.weight.T, 4.0 * torch.eye(3))
    assert (layer.bias == 0).all()
    assert orthogonal_(nn.Linear(6, 3, bias=False), 1.0).bias is None


# Reward networks.


def test_the_vector_network_has_the_layers_of_the_paper() -> None:
    network = VectorRewardNetwork(10, members=MEMBERS)
    per_member = (10 * 64 + 64) + (64 * 64 + 64) + (64 + 1)
    assert sum(p.numel() for p in network.parameters()) == MEMBERS * per_member


@pytest.mark.parametrize("leading", [(5,), (2, 7), (2, 3, 4)])
def test_the_vector_network_equals_separate_networks_on_normalised_inputs(leading: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, inputs = VectorRewardNetwork(6, members=MEMBERS, hidden=8), 3.0 + 2.0 * torch.randn(*leading, 6)
    network.set_input_moments(inputs)
    normal = (inputs - inputs.reshape(-1, 6).mean(0)) / inputs.reshape(-1, 6).std(0, correction=0)
    outputs = network(inputs)
    assert outputs.shape == (MEMBERS, *leading)
    for m in range(MEMBERS):
        first = network.first.weight.view(MEMBERS, 8, 6)[m], network.first.bias.view(MEMBERS, 8)[m]
        x = nn.functional.leaky_relu(nn.functional.linear(normal, *first), 0.01)
        x = nn.functional.leaky_relu(x @ network.second.weight[m] + network.second.bias[m], 0.01)
        expected = (x @ network.head.weight[m] + network.head.bias[m]).squeeze(-1)
        torch.testing.assert_close(outputs[m], expected)


@given(scale=st.floats(1e-2, 1e4), shift=st.floats(-1e3, 1e3))
def test_the_units_of_the_inputs_do_not_matter_once_their_moments_are_set(scale: float, shift: float) -> None:
    torch.manual_seed(0)
    network, inputs = VectorRewardNetwork(6, members=MEMBERS), torch.randn(50, 6, dtype=torch.float64)
    network = network.double()
    network.set_input_moments(inputs)
    expected = network(inputs)
    network.set_input_moments(inputs * scale + shift)
    torch.testing.assert_close(network(inputs * scale + shift), expected, rtol=1e-5, atol=1e-5)


def test_input_moments_are_frozen_between_fits_and_outliers_are_clipped() -> None:
    torch.manual_seed(0)
    network, inputs = VectorRewardNetwork(6, members=MEMBERS).train(), torch.randn(50, 6)
    inputs[:, 2] = 7.0
    network.set_input_moments(inputs)
    before = copy.deepcopy(network.state_dict())
    far, further = (network(inputs + 1e3 * k) for k in (1, 2))
    assert torch.equal(far, further)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.input_std[2] == pytest.approx(1e-3)
    assert network(inputs).isfinite().all()


def test_the_paper_network_has_the_layers_of_the_paper() -> None:
    network = pixel_network(preset="paper")
    table = [(c.kernel_size, c.stride, c.out_channels, c.groups, c.padding) for c, _ in blocks(network)]
    assert table == [
        ((7, 7), (3, 3), MEMBERS * 16, 1, (0, 0)),
        ((5, 5), (2, 2), MEMBERS * 16, MEMBERS, (0, 0)),
        ((3, 3), (1, 1), MEMBERS * 16, MEMBERS, (0, 0)),
        ((3, 3), (1, 1), MEMBERS * 16, MEMBERS, (0, 0)),
    ]
    # 84 -> 26 -> 11 -> 9 -> 7, 7 x 7 x 16 numbers into 64 units.
    assert network.hidden.weight.shape == (MEMBERS, 784, 64)
    assert network.head.weight.shape == (MEMBERS, 64, 1)
    assert isinstance(network.dropout, nn.Dropout2d)
    assert network.dropout.p == 0.5
    convolutions = (16 * 4 * 49 + 16) + (16 * 16 * 25 + 16) + 2 * (16 * 16 * 9 + 16)
    per_member = convolutions + 4 * 2 * 16 + (784 * 64 + 64) + (64 + 1)
    assert sum(p.numel() for p in network.parameters()) == MEMBERS * per_member


def test_the_small_preset_needs_a_third_of_the_papers_multiplications() -> None:
    def multiplications(network: PixelRewardNetwork) -> int:
        total, size = 0, 84
        for conv, _ in blocks(network):
            size = (size - conv.kernel_size[0]) // conv.stride[0] + 1
            total += conv.weight.numel() * size * size
        return total + sum(p.weight.numel() for p in (network.hidden, network.head))

    ratio = multiplications(pixel_network(preset="paper")) / multiplications(pixel_network(preset="small"))
    assert ratio == pytest.approx(3, abs=0.1)


def separate_pixel_networks(network: PixelRewardNetwork) -> list[nn.Sequential]:
    """The members as plain networks on frames in [0, 1], channels first."""

    def share(tensor: Tensor, member: int) -> Tensor:
        return tensor.detach().unflatten(0, (MEMBERS, -1))[member]

    separate = []
    for m in range(MEMBERS):
        layers: list[nn.Module] = []
        for fused, fused_norm in blocks(network):
            channels = fused.in_channels // fused.groups
            conv = nn.Conv2d(channels, fused.out_channels // MEMBERS, fused.kernel_size, fused.stride)
            norm = nn.BatchNorm2d(conv.out_channels)
            for own, whole in ((conv, fused), (norm, fused_norm)):
                own.load_state_dict({k: share(v, m) if v.dim() else v for k, v in whole.state_dict().items()})
            layers += [conv, norm, nn.LeakyReLU(0.01)]
        layers.append(nn.Flatten())
        ends = ((network.hidden, nn.LeakyReLU(0.01)), (network.head, nn.Identity()))
        for member_linear, activation in ends:
            assert isinstance(member_linear, MemberLinear)
            linear = nn.Linear(*member_linear.weight.shape[1:])
            with torch.no_grad():
                linear.weight.copy_(member_linear.weight[m].T)
                linear.bias.copy_(member_linear.bias[m, 0])
            layers += [linear, activation]
        separate.append(nn.Sequential(*layers))
    return separate


@pytest.mark.parametrize("preset", ["paper", "small"])
@pytest.mark.parametrize("training", [False, True])
def test_the_pixel_network_equals_separate_networks_on_frames_divided_by_255(
    preset: Any, training: bool
) -> None:
    network = pixel_network(preset=preset, dropout=0.0)
    for buffer in network.norms.buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    separate = [net.train(training) for net in separate_pixel_networks(network)]
    network.train(training)
    images = frames(2, 3)
    outputs = network(images)
    assert outputs.shape == (MEMBERS, 2, 3)
    plain = images.reshape(-1, 84, 84, 4).permute(0, 3, 1, 2).float() / 255
    for m, net in enumerate(separate):
        torch.testing.assert_close(outputs[m].flatten(), net(plain).squeeze(-1), rtol=1e-4, atol=1e-4)


def test_making_a_pixel_network_leaves_no_trace_in_its_batch_statistics() -> None:
    network = pixel_network()
    assert network.training
    for _, norm in blocks(network):
        assert (norm.running_mean == 0).all()
        assert (norm.running_var == 1).all()
        assert norm.num_batches_tracked == 0


def test_dropout_and_batch_statistics_are_for_training_only() -> None:
    network, images = pixel_network(preset="small"), frames(6)
    assert not torch.equal(network(images), network(images))
    before = [norm.running_mean.clone() for _, norm in blocks(network)]
    network.eval()
    assert torch.equal(network(images), network(images))
    torch.testing.assert_close(network(images)[:, :2], network(images[:2]))
    after = [norm.running_mean for _, norm in blocks(network)]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_dropout_drops_whole_channels() -> None:
    network = pixel_network(preset="small")
    dropped = network.dropout(torch.ones(4, 16, 3, 3))
    per_channel = dropped.flatten(2)
    assert (per_channel == per_channel[..., :1]).all()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("preset", ["paper", "small"])
def test_every_reward_parameter_gets_a_gradient(preset: Any) -> None:
    torch.manual_seed(0)
    vector = VectorRewardNetwork(6, members=MEMBERS)
    vector(torch.randn(5, 6)).square().sum().backward()
    pixels = pixel_network(preset=preset, dropout=0.0)
    pixels(frames(5)).square().sum().backward()
    for network in (vector, pixels):
        for parameter in network.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
        assert sum(p.grad.abs().sum() > 0 for p in network.parameters()) > len(list(network.parameters())) / 2


@pytest.mark.parametrize("shape", [(84, 84, 4), (20, 20, 4), (24, 16, 3), (7, 7, 1), (1, 1, 1)])
@pytest.mark.parametrize("preset", ["paper", "small"])
def test_small_and_oblong_frames_work(shape: tuple[int, int, int], preset: Any) -> None:
    torch.manual_seed(0)
    network = PixelRewardNetwork(shape, members=2, preset=preset)
    images = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    assert network(images).shape == (2, 4)
    head, value = PixelBody(shape, 5, preset="nature" if preset == "paper" else "small")(images)
    assert (head.shape, value.shape) == ((4, 5), (4,))


# Policies.


def vector_policy(action_space: Space, *, features: int = 6, **settings: Any) -> Policy:
    torch.manual_seed(0)
    policy = make_policy(Box(-np.inf, np.inf, (features,)), action_space, **settings)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return policy


def test_a_discrete_policy_has_the_log_probabilities_and_entropy_of_a_categorical() -> None:
    policy, observation = vector_policy(Discrete(4)), torch.randn(9, 6)
    action = torch.arange(9) % 4
    evaluation = policy.evaluate({"observation": observation, "action": action})
    head, value = policy(observation)
    reference = torch.distributions.Categorical(logits=head)
    torch.testing.assert_close(evaluation.log_prob, reference.log_prob(action))
    torch.testing.assert_close(evaluation.entropy, reference.entropy())
    torch.testing.assert_close(evaluation.value, value)


def test_a_continuous_policy_has_the_log_probabilities_and_entropy_of_a_gaussian() -> None:
    policy, observation = vector_policy(Box(-1, 1, (3,)), initial_log_std=-0.7), torch.randn(9, 6)
    action = torch.randn(9, 3)
    evaluation = policy.evaluate({"observation": observation, "action": action})
    head, value = policy(observation)
    reference = torch.distributions.Normal(head, policy.log_std.exp())
    torch.testing.assert_close(evaluation.log_prob, reference.log_prob(action).sum(-1))
    torch.testing.assert_close(evaluation.entropy, reference.entropy().sum(-1).expand(9))
    torch.testing.assert_close(evaluation.value, value)


def test_a_new_policy_is_close_to_uniform_with_the_deviation_asked_for() -> None:
    torch.manual_seed(0)
    observation = torch.randn(20, 6)
    discrete = make_policy(Box(-1, 1, (6,)), Discrete(4))
    assert torch.softmax(discrete(observation).head, -1).sub(0.25).abs().max() < 0.02
    continuous = make_policy(Box(-1, 1, (6,)), Box(-1, 1, (2,)), initial_log_std=-0.5)
    assert continuous(observation).head.abs().max() < 0.1
    assert continuous.log_std.tolist() == [-0.5, -0.5]


@pytest.mark.parametrize(
    ("preset", "kernels", "units"),
    [("nature", [(32, 8, 4), (64, 4, 2), (64, 3, 1)], 512), ("small", [(16, 8, 4), (32, 4, 2)], 256)],
)
def test_pixel_policies_have_the_layers_of_their_papers(
    preset: Any, kernels: list[tuple[int, int, int]], units: int
) -> None:
    policy = make_policy(Box(0, 255, (84, 84, 4), np.uint8), Discrete(6), pixel_preset=preset)
    body = policy.body
    assert isinstance(body, PixelBody)
    assert [(c.out_channels, c.kernel_size[0], c.stride[0]) for c in body.convs] == kernels
    assert body.hidden.out_features == units
    head, value = policy(frames(3))
    assert (head.shape, value.shape) == ((3, 6), (3,))
    x = frames(3).permute(0, 3, 1, 2).float() / 255
    for conv in body.convs:
        x = torch.relu(conv(x))
    x = torch.relu(body.hidden(x.flatten(1)))
    torch.testing.assert_close(head, body.policy(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(value, body.value(x).squeeze(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("action_space", [Discrete(4), Box(-1, 1, (3,))])
def test_every_policy_parameter_gets_a_gradient(action_space: Space) -> None:
    policy = vector_policy(action_space)
    action = torch.zeros(9, dtype=torch.int64) if policy.discrete else torch.randn(9, 3)
    log_prob, entropy, value = policy.evaluate({"observation": torch.randn(9, 6), "action": action})
    (log_prob + entropy + value).sum().backward()
    for parameter in policy.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("space", [Box(-1, 1, (6,)), Box(0, 255, (20, 20, 4), np.uint8)])
def test_the_value_head_is_the_last_layer_of_the_value(space: Box) -> None:
    policy = make_policy(space, Discrete(3), pixel_preset="small")
    observation = torch.from_numpy(np.stack([space.sample() for _ in range(5)]))
    before = policy(observation)
    with torch.no_grad():
        policy.value_head.weight.mul_(2.0)
        policy.value_head.bias.mul_(2.0).add_(1.0)
    after = policy(observation)
    torch.testing.assert_close(after.value, 2.0 * before.value + 1.0)
    assert torch.equal(after.head, before.head)


def test_actions_are_scaled_and_clipped_to_the_bounds_of_the_world() -> None:
    policy = vector_policy(Box(np.array([-2.0, 0.0, -1.0]), np.array([2.0, 10.0, 3.0]), dtype=np.float64))
    world = policy.to_world(np.array([[-1.0, -1.0, -1.0], [0.0, 0.5, 1.0], [5.0, -5.0, 0.25]]))
    np.testing.assert_allclose(world, [[-2.0, 0.0, -1.0], [0.0, 7.5, 3.0], [2.0, 0.0, 1.5]])
    assert world.dtype == np.float32


def test_unbounded_actions_pass_unchanged_and_half_bounded_ones_stay_inside() -> None:
    low, high = np.array([-np.inf, 0.0, -np.inf]), np.array([np.inf, np.inf, -0.5])
    policy = vector_policy(Box(low, high, dtype=np.float64))
    world = policy.to_world(np.array([[7.0, 7.0, -7.0], [-7.0, -7.0, 7.0]]))
    np.testing.assert_allclose(world, [[7.0, 7.0, -7.0], [-7.0, 0.0, -0.5]])


@settings(max_examples=40)
@given(bounds=st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(0, 1e4, width=32)), seed=seeds)
def test_no_rounding_takes_an_action_out_of_its_space(bounds: tuple[float, float], seed: int) -> None:
    low = np.float32(bounds[0])
    space = Box(low, np.float32(low + np.float32(bounds[1])), (5,))
    policy = vector_policy(space)
    actions = np.random.default_rng(seed).normal(size=(20, 5)).astype(np.float32)
    for action in policy.to_world(np.concatenate([actions, np.ones((1, 5), np.float32)])):
        assert space.contains(action)


def test_discrete_actions_count_from_the_start_of_their_space() -> None:
    world = vector_policy(Discrete(3, start=-1)).to_world(np.array([0, 1, 2]))
    assert world.tolist() == [-1, 0, 1]
    assert world.dtype == np.int64


@pytest.mark.parametrize("space", [MultiBinary(3), MultiDiscrete([2, 2]), Box(-1, 1, (2, 2)), Box(-1, 1, ())])
def test_actions_of_other_kinds_are_refused(space: Space) -> None:
    with pytest.raises(UsageError, match="actions must be Discrete or a Box of one dimension, not"):
        make_policy(Box(-1, 1, (3,)), space)


@pytest.mark.parametrize("space", [Discrete(5), Dict({"a": Box(-1, 1, (3,))}), Tuple([Box(-1, 1, (3,))])])
def test_observations_of_other_kinds_are_refused(space: Space) -> None:
    with pytest.raises(UsageError, match=r"observations must be a Box, not .*: flatten them"):
        make_policy(space, Discrete(2))


# Acting.


def an_actor(policy: Policy, *, features: int = 6) -> Actor:
    moments = RunningMoments((features,))
    moments.update(np.random.default_rng(5).normal(2.0, 3.0, size=(40, features)))
    actor = Actor(policy, moments, CPU)
    actor.refresh()
    return actor


@pytest.mark.parametrize("action_space", [Discrete(4), Box(-1, 1, (3,))])
def test_acting_in_numpy_gives_the_numbers_that_the_update_will_see(action_space: Space) -> None:
    policy = vector_policy(action_space)
    actor = an_actor(policy)
    observation = np.random.default_rng(0).normal(2.0, 3.0, size=(50, 6))
    decision = actor.decide(observation, np.random.default_rng(1))
    inputs = {"observation": actor.observe(observation), "action": decision.action}
    assert inputs["observation"].dtype == np.float32
    evaluation = policy.evaluate({name: torch.from_numpy(array) for name, array in inputs.items()})
    np.testing.assert_allclose(decision.log_prob, evaluation.log_prob.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(decision.value, evaluation.value.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(actor.values(observation), decision.value)


def test_acting_on_frames_gives_the_numbers_that_the_update_will_see() -> None:
    torch.manual_seed(0)
    policy = make_policy(Box(0, 255, (20, 20, 4), np.uint8), Discrete(4), pixel_preset="small")
    actor = Actor(policy, None, CPU)
    actor.refresh()
    observation = frames(7, size=20).numpy()
    assert actor.observe(observation) is observation
    decision = actor.decide(observation, np.random.default_rng(1))
    action = torch.from_numpy(decision.action)
    evaluation = policy.evaluate({"observation": torch.from_numpy(observation), "action": action})
    np.testing.assert_allclose(decision.log_prob, evaluation.log_prob.detach(), rtol=1e-5)
    np.testing.assert_allclose(decision.value, evaluation.value.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("action_space", [Discrete(4), Box(-1, 1, (3,))])
def test_actions_are_a_function_of_their_generator(action_space: Space) -> None:
    actor = an_actor(vector_policy(action_space))
    observation = np.random.default_rng(0).normal(size=(50, 6))
    first, again, other = (actor.decide(observation, np.random.default_rng(s)).action for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_sampled_actions_have_the_probabilities_of_the_policy() -> None:
    actor = an_actor(vector_policy(Discrete(3)))
    observation = np.tile(np.random.default_rng(0).normal(size=(1, 6)), (20_000, 1))
    decision = actor.decide(observation, np.random.default_rng(1))
    for action in range(3):
        chosen = decision.action == action
        assert chosen.mean() == pytest.approx(np.exp(decision.log_prob[chosen][0]), abs=0.015)


def test_sampled_gaussian_actions_have_the_moments_of_the_policy() -> None:
    policy = vector_policy(Box(-1, 1, (2,)), initial_log_std=-1.0)
    observation = np.tile(np.random.default_rng(0).normal(size=(1, 6)), (20_000, 1))
    actor = an_actor(policy)
    actions = actor.decide(observation, np.random.default_rng(1)).action
    mean = actor.decide(observation[:1], np.random.default_rng(1), greedy=True).action[0]
    deviation = policy.log_std.detach().exp().numpy()
    np.testing.assert_allclose(actions.mean(0), mean, atol=4 * deviation.max() / np.sqrt(20_000))
    np.testing.assert_allclose(actions.std(0), deviation, rtol=0.03)


@pytest.mark.parametrize("action_space", [Discrete(4), Box(-1, 1, (3,))])
def test_greedy_actions_are_the_most_likely_ones(action_space: Space) -> None:
    policy = vector_policy(action_space)
    actor = an_actor(policy)
    observation = np.random.default_rng(0).normal(2.0, 3.0, size=(50, 6))
    decision = actor.decide(observation, np.random.default_rng(1), greedy=True)
    head = policy(torch.from_numpy(actor.observe(observation))).head.detach()
    expected = head.argmax(-1) if policy.discrete else head
    np.testing.assert_allclose(decision.action, expected, rtol=1e-4, atol=1e-5)
    inputs = {"observation": torch.from_numpy(actor.observe(observation)), "action": expected}
    log_prob = policy.evaluate(inputs).log_prob.detach()
    np.testing.assert_allclose(decision.log_prob, log_prob, rtol=1e-4, atol=1e-5)


def test_acting_gives_the_decision_in_the_worlds_units() -> None:
    policy, observation = vector_policy(Box(-5, 5, (3,))), np.random.default_rng(0).normal(size=(5, 6))
    actor = an_actor(policy)
    decision = actor.decide(observation, np.random.default_rng(1))
    world = actor.act(observation, np.random.default_rng(1), greedy=False)
    np.testing.assert_array_equal(world, policy.to_world(decision.action))


def test_observations_are_normalised_clipped_and_flattened() -> None:
    actor = an_actor(vector_policy(Discrete(2)))
    observation = np.full((2, 2, 3), 2.0)
    observation[1] = 1e9
    seen = actor.observe(observation)
    assert seen.shape == (2, 6)
    assert actor.moments is not None
    np.testing.assert_allclose(seen[0], actor.moments.normalise(np.full(6, 2.0)), rtol=1e-5)
    assert (seen[1] == 10.0).all()


def test_an_actor_acts_with_old_parameters_until_it_is_refreshed() -> None:
    policy = vector_policy(Box(-1, 1, (3,)))
    actor, observation = an_actor(policy), np.random.default_rng(0).normal(size=(5, 6))
    before = actor.decide(observation, np.random.default_rng(1))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.1
    held = actor.decide(observation, np.random.default_rng(1))
    np.testing.assert_array_equal(held.action, before.action)
    np.testing.assert_array_equal(held.log_prob, before.log_prob)
    actor.refresh()
    after = actor.decide(observation, np.random.default_rng(1))
    assert isinstance(policy.body, VectorBody)
    assert (after.action != before.action).all()
    assert (after.log_prob != before.log_prob).all()
    assert (after.value != before.value).all()
