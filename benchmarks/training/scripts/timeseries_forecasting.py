"""Windows of a climate table, an LSTM, early stopping and weights of the best epoch.

The shape of keras-team/keras-io examples/timeseries/timeseries_weather_forecasting.py.
"""

import argparse
import time

import keras
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--csv", default="data/climate.csv")
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--epochs", type=int, default=4)
args = parser.parse_args()

split_fraction = 0.715
step = 6
past = 720
future = 72


class EpochTime(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.time()

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch}: {self.params['steps']} steps in {time.time() - self.began:.3f} s", flush=True)


def normalize(data, train_split):
    data_mean = data[:train_split].mean(axis=0)
    data_std = data[:train_split].std(axis=0)
    return (data - data_mean) / data_std


table = np.loadtxt(args.csv, delimiter=",", skiprows=1)
train_split = int(split_fraction * len(table))
features = normalize(table, train_split)
train_data, val_data = features[:train_split], features[train_split:]

start = past + future
end = start + train_split
sequence_length = past // step

dataset_train = keras.preprocessing.timeseries_dataset_from_array(
    train_data,
    features[start:end, [1]],
    sequence_length=sequence_length,
    sampling_rate=step,
    batch_size=args.batch_size,
)
x_end = len(val_data) - past - future
label_start = train_split + past + future
dataset_val = keras.preprocessing.timeseries_dataset_from_array(
    val_data[:x_end],
    features[label_start:, [1]],
    sequence_length=sequence_length,
    sampling_rate=step,
    batch_size=args.batch_size,
)

for batch in dataset_train.take(1):
    batch_inputs, batch_targets = batch
print("Input shape:", batch_inputs.numpy().shape, "Target shape:", batch_targets.numpy().shape)

inputs = keras.layers.Input(shape=(batch_inputs.shape[1], batch_inputs.shape[2]))
lstm_out = keras.layers.LSTM(8)(inputs)
outputs = keras.layers.Dense(1)(lstm_out)
model = keras.Model(inputs=inputs, outputs=outputs)
model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.001), loss="mse")

path_checkpoint = "model_checkpoint.weights.h5"
callbacks = [
    keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=0, patience=5),
    keras.callbacks.ModelCheckpoint(
        monitor="val_loss", filepath=path_checkpoint, verbose=1, save_weights_only=True, save_best_only=True
    ),
    EpochTime(),
]
model.fit(dataset_train, epochs=args.epochs, validation_data=dataset_val, callbacks=callbacks, verbose=2)
