from __future__ import annotations

import pytest

from edgekit.core.errors import UserError
from edgekit.train.options import TrainOptions, with_overrides


def test_texts_are_read_as_the_type_of_their_option() -> None:
    options = with_overrides(
        TrainOptions(), {"learning-rate": "0.5", "epochs": "3", "optimizer": "sgd", "dropout": "0.1"}
    )

    assert (options.learning_rate, options.epochs, options.optimizer, options.dropout) == (0.5, 3, "sgd", 0.1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rat", "1", "Did you mean 'learning_rate'"),
        ("epochs", "many", "Expected `int`"),
        ("epochs", "0", "expected 1 to"),
        ("optimizer", "adamm", "Invalid enum value 'adamm'"),
        ("dropout", "1.5", "expected 0 to 1, got 1.5"),
    ],
)
def test_a_wrong_option_says_what_is_expected(name: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        with_overrides(TrainOptions(), {name: value})
