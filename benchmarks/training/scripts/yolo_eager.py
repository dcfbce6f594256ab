"""Pictures with boxes from records, parsed one after the other, an eager loop of a fixed number of steps an epoch.

The shape of zzh8829/yolov3-tf2 train.py and yolov3_tf2/dataset.py.
"""

import time

import tensorflow as tf
from absl import app, flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "data/voc/*.tfrecord", "path to dataset")
flags.DEFINE_integer("size", 96, "image size")
flags.DEFINE_integer("batch_size", 16, "batch size")
flags.DEFINE_integer("epochs", 4, "number of epochs")
flags.DEFINE_integer("steps_per_epoch", 60, "steps of an epoch")

MAX_BOXES = 20
IMAGE_FEATURE_MAP = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/object/bbox": tf.io.VarLenFeature(tf.float32),
    "image/object/label": tf.io.VarLenFeature(tf.int64),
}


def parse_tfrecord(tfrecord, size):
    x = tf.io.parse_single_example(tfrecord, IMAGE_FEATURE_MAP)
    x_train = tf.image.decode_jpeg(x["image/encoded"], channels=3)
    x_train = tf.image.resize(x_train, (size, size))
    boxes = tf.reshape(tf.sparse.to_dense(x["image/object/bbox"]), [-1, 4])
    labels = tf.cast(tf.sparse.to_dense(x["image/object/label"]), tf.float32)
    y_train = tf.concat([boxes, labels[:, None]], axis=1)
    y_train = tf.pad(y_train, [[0, MAX_BOXES - tf.shape(y_train)[0]], [0, 0]])
    return x_train, tf.ensure_shape(y_train, [MAX_BOXES, 5])


def load_tfrecord_dataset(file_pattern, size):
    files = tf.data.Dataset.list_files(file_pattern)
    dataset = files.flat_map(tf.data.TFRecordDataset)
    return dataset.map(lambda x: parse_tfrecord(x, size))


def transform_targets(y_train):
    centres = (y_train[..., 0:2] + y_train[..., 2:4]) / 2
    sizes = y_train[..., 2:4] - y_train[..., 0:2]
    return tf.concat([centres, sizes, y_train[..., 4:]], axis=-1)


def tiny_model(size):
    x = inputs = tf.keras.Input([size, size, 3])
    for filters in (8, 16, 32):
        x = tf.keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    x = tf.keras.layers.Dense(MAX_BOXES * 5)(x)
    return tf.keras.Model(inputs, tf.keras.layers.Reshape([MAX_BOXES, 5])(x))


def main(_argv):
    model = tiny_model(FLAGS.size)
    train_dataset = load_tfrecord_dataset(FLAGS.dataset, FLAGS.size)
    train_dataset = train_dataset.shuffle(buffer_size=128)
    train_dataset = train_dataset.repeat()
    train_dataset = train_dataset.batch(FLAGS.batch_size)
    train_dataset = train_dataset.map(lambda x, y: (x / 255.0, transform_targets(y)))
    train_dataset = train_dataset.prefetch(buffer_size=tf.data.experimental.AUTOTUNE)

    optimizer = tf.keras.optimizers.Adam(1e-3)
    avg_loss = tf.keras.metrics.Mean("loss", dtype=tf.float32)
    batches = iter(train_dataset)
    for epoch in range(1, FLAGS.epochs + 1):
        began = time.time()
        for _ in range(FLAGS.steps_per_epoch):
            images, labels = next(batches)
            with tf.GradientTape() as tape:
                outputs = model(images, training=True)
                total_loss = tf.reduce_mean(tf.square(outputs - labels))
            grads = tape.gradient(total_loss, model.trainable_variables)
            optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
            avg_loss.update_state(total_loss)
        logging.info("%d, train: %f", epoch, avg_loss.result().numpy())
        print(f"epoch {epoch}: {FLAGS.steps_per_epoch} steps in {time.time() - began:.3f} s", flush=True)
        avg_loss.reset_state()
        model.save_weights(f"yolov3_train_{epoch}.weights.h5")


if __name__ == "__main__":
    app.run(main)
