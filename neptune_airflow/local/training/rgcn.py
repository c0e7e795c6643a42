"""A two-layer R-GCN in numpy, full batch: one weight a relation, the mean over a node's neighbours, its own row beside.

    hidden[t] = relu(own[t] W[t] + sum over relations r into t of mean_r(own[source]) W[r] + b[t])
    said[v]   = hidden[t] S[v] + sum over relations r into t of mean_r(hidden[source]) R[v, r] + c[v]

A node's own row is its features and, where a type has none or the hyperparameters ask for it, a learnt id. The means of
the features never change, so they are taken once, and the first layer is one dense product a type.

Numbers are predicted as a ridge regression on the target's own features plus what the network says, which starts at
nothing: a network alone learns a few thousand numbers by heart before it finds the straight line through them.

A voice v is a part in the prediction that nodes of type t play: a node task has one, the target, and what it says are
the scores; an edge task has the source and the destination, and `decoder.py` makes an edge's scores of what both say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.training import decoder, linear
from neptune_airflow.local.training.decoder import Decoded, Decoder, gate
from neptune_airflow.local.training.family import Weights
from neptune_airflow.local.training.problem import NUMBERS, Floats, Link, Problem
from neptune_airflow.local.training.settings import Settings

# Wider ids cost time in every epoch and memorise more; num-hidden sets them up to here.
MAX_ID_SIZE = 32
IDS = "ids/"
STRAIGHT = "straight"


@dataclass
class Sums:
    """The hidden layer before its relu, by type, and the mean ids over each relation, by its key."""

    by_type: dict[str, NDArray[Any]]
    id_means: dict[str, NDArray[Any]]


@dataclass
class Spoken:
    """What every voice says of each node of its type, and what the way back needs."""

    said: dict[str, NDArray[Any]]
    hidden: dict[str, NDArray[Any]]
    gates: dict[str, NDArray[Any]]
    sums: Sums


@dataclass
class Pass(Spoken):
    """One forward pass: with it the scores before softmax or sigmoid."""

    logits: NDArray[Any]
    decoded: Decoded | None


class RGCN:
    """The network over one problem; its weights are handed in, so that a gradient can be checked."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem = problem
        self.settings = settings
        self.voices = problem.voices
        speaking = set(self.voices.values())
        self.outer = {ntype: [link for link in problem.links if link.dest == ntype] for ntype in sorted(speaking)}
        self.types = sorted(speaking | {link.source for links in self.outer.values() for link in links})
        self.inner = {ntype: [link for link in problem.links if link.dest == ntype] for ntype in self.types}
        self.read = sorted({*self.types, *(link.source for links in self.inner.values() for link in links)})
        self.dense = {ntype: self._dense(ntype) for ntype in self.types}
        self.with_ids = {ntype for ntype in self.read if settings.node_ids or not problem.features[ntype].shape[1]}
        self.decoder = Decoder(problem, settings) if problem.pairs is not None else None
        self.own = linear.own_features(problem).astype(np.float32) if problem.kind == NUMBERS else None

    def _dense(self, ntype: str) -> Floats:
        """Give a type's own features and, beside them, the mean features over each relation into it."""
        features = self.problem.features
        means = [link.matrix @ features[link.source] for link in self.inner[ntype]]
        return np.ascontiguousarray(np.concatenate([features[ntype], *means], axis=1))

    def links(self) -> list[Link]:
        """Give the relations that the network has weights for."""
        read = {link.key: link for links in (*self.inner.values(), *self.outer.values()) for link in links}
        return list(read.values())

    def _id_links(self, ntype: str) -> list[Link]:
        return [link for link in self.inner[ntype] if link.source in self.with_ids]

    def initial(self, rng: np.random.Generator) -> Weights:
        """Give fresh weights, Glorot-uniform; ids and the biases start small."""
        hidden = self.settings.hidden
        said = self.problem.truth.shape[1] if self.decoder is None else hidden
        width = min(hidden, MAX_ID_SIZE)
        weights: Weights = {}

        def glorot(name: str, rows: int, columns: int) -> None:
            bound = np.sqrt(6 / max(rows + columns, 1))
            weights[name] = rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)

        for ntype in sorted(self.with_ids):
            count = self.problem.counts[ntype]
            weights[f"{IDS}{ntype}"] = (rng.standard_normal((count, width)) * 0.1).astype(np.float32)
        for ntype in self.types:
            glorot(f"dense/{ntype}", self.dense[ntype].shape[1], hidden)
            weights[f"bias/{ntype}"] = np.zeros(hidden, dtype=np.float32)
            if ntype in self.with_ids:
                glorot(f"own_id/{ntype}", width, hidden)
            for link in self._id_links(ntype):
                glorot(f"id/{link.key}", width, hidden)
        for voice, ntype in self.voices.items():
            glorot(f"{voice}/own", hidden, said)
            weights[f"{voice}/bias"] = np.zeros(said, dtype=np.float32)
            for link in self.outer[ntype]:
                glorot(f"{voice}/{link.key}", hidden, said)
        if self.decoder is not None:
            self.decoder.initial(weights, glorot)
        if self.own is not None:
            last = [decoder.OUT] if self.decoder else [name for name in weights if name.startswith("target/")]
            weights |= {name: np.zeros_like(weights[name]) for name in last}
            weights[STRAIGHT] = linear.ridge(self.problem).astype(np.float32)
        return weights

    def sums(self, weights: Weights) -> Sums:
        """Give the first layer, which is most of the work and the same whether units are dropped or not."""
        made = Sums({}, {})
        for ntype in self.types:
            sums = self.dense[ntype] @ weights[f"dense/{ntype}"] + weights[f"bias/{ntype}"]
            if ntype in self.with_ids:
                sums += weights[f"{IDS}{ntype}"] @ weights[f"own_id/{ntype}"]
            for link in self._id_links(ntype):
                made.id_means[link.key] = link.matrix @ weights[f"{IDS}{link.source}"]
                sums += made.id_means[link.key] @ weights[f"id/{link.key}"]
            made.by_type[ntype] = sums
        return made

    def forward(self, weights: Weights, known: Sums | None = None, rng: np.random.Generator | None = None) -> Pass:
        """Score every target node or edge.

        :param known: these weights' first layer, where it is known already.
        :param rng: drops some hidden units, as in training; without it all are kept.
        """
        made = self.speak(weights, known, rng)
        decoded = self.decoder.forward(weights, made.said, rng) if self.decoder else None
        logits = decoded.logits if decoded else made.said["target"]
        if self.own is not None:
            logits = logits + self.own @ weights[STRAIGHT]
        return Pass(**vars(made), logits=logits, decoded=decoded)

    def speak(self, weights: Weights, known: Sums | None = None, rng: np.random.Generator | None = None) -> Spoken:
        """Go through both layers, for the decoder or for link prediction's: arguments as of `forward`."""
        made = known or self.sums(weights)
        hidden, gates = {}, {}
        for ntype, sums in made.by_type.items():
            gates[ntype] = gate(sums, self.settings.dropout, rng)
            hidden[ntype] = sums * gates[ntype]
        said = {}
        for voice, ntype in self.voices.items():
            said[voice] = hidden[ntype] @ weights[f"{voice}/own"] + weights[f"{voice}/bias"]
            for link in self.outer[ntype]:
                said[voice] += link.matrix @ (hidden[link.source] @ weights[f"{voice}/{link.key}"])
        return Spoken(said, hidden, gates, made)

    def backward(self, weights: Weights, made: Pass, slope: NDArray[Any]) -> Weights:
        """Give the gradient of every weight, from that of the logits."""
        grads: Weights = {} if self.own is None else {STRAIGHT: self.own.T @ slope}
        slopes = {"target": slope}
        if self.decoder is not None and made.decoded is not None:
            slopes = self.decoder.backward(weights, made.decoded, slope, grads)
        return grads | self.backward_said(weights, made, slopes)

    def backward_said(self, weights: Weights, made: Spoken, slopes: Weights) -> Weights:
        """Give the gradient of every weight of both layers, from that of what each voice says."""
        grads: Weights = {}
        back = {ntype: np.zeros_like(made.hidden[ntype]) for ntype in self.types}
        for voice, ntype in self.voices.items():
            said = slopes[voice]
            grads[f"{voice}/bias"] = said.sum(axis=0)
            grads[f"{voice}/own"] = made.hidden[ntype].T @ said
            back[ntype] += said @ weights[f"{voice}/own"].T
            for link in self.outer[ntype]:
                sent = link.matrix.T @ said
                grads[f"{voice}/{link.key}"] = made.hidden[link.source].T @ sent
                back[link.source] += sent @ weights[f"{voice}/{link.key}"].T
        self._backward_hidden(weights, made, back, grads)
        return grads

    def _backward_hidden(self, weights: Weights, made: Spoken, back: Weights, grads: Weights) -> None:
        """Add the gradients of the first layer's weights and of the ids."""
        for ntype in self.with_ids:
            grads[f"{IDS}{ntype}"] = np.zeros_like(weights[f"{IDS}{ntype}"])
        for ntype in self.types:
            inner = back[ntype] * made.gates[ntype]
            grads[f"dense/{ntype}"] = self.dense[ntype].T @ inner
            grads[f"bias/{ntype}"] = inner.sum(axis=0)
            if ntype in self.with_ids:
                grads[f"own_id/{ntype}"] = weights[f"{IDS}{ntype}"].T @ inner
                grads[f"{IDS}{ntype}"] += inner @ weights[f"own_id/{ntype}"].T
            for link in self._id_links(ntype):
                grads[f"id/{link.key}"] = made.sums.id_means[link.key].T @ inner
                grads[f"{IDS}{link.source}"] += link.matrix.T @ (inner @ weights[f"id/{link.key}"].T)
