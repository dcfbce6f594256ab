"""A compiled Keras model on TensorFlow whose step sleeps inside the function of ``fit``."""

import keras
from log import step_in_graph


class SleepingModel(keras.Model):
    """Sleeps in each training step; evaluation does not."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, batch):
        return self.dense(batch)

    def train_step(self, batch):
        self.loss_tracker.update_state(step_in_graph(batch))
        return {"loss": self.loss_tracker.result()}

    def test_step(self, *_):
        return {"loss": self.loss_tracker.result()}


def compiled(**options):
    """The model, compiled without XLA, which has no Python functions."""
    model = SleepingModel()
    model.build((None, 4))
    model.compile(jit_compile=False, **options)
    return model
