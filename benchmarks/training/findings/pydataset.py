"""A PyDataset feeds fit: no tf.data dataset is iterated by the script."""

import time

import keras
import numpy as np
from slow import small_model


class Rows(keras.utils.PyDataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        time.sleep(0.006)
        rows = np.full((4, 4), index, np.float32)
        return rows, rows[:, :1]


small_model().fit(Rows(), epochs=4, verbose=0)
