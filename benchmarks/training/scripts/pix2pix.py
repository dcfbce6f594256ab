"""Pairs of pictures side by side, jittered at random, a small U-Net and its critic; one step is a tf.function.

The shape of tensorflow/docs site/en/tutorials/generative/pix2pix.ipynb.
"""

import time

import tensorflow as tf
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("path", "data/facades", "folder of the pictures")
flags.DEFINE_integer("buffer_size", 100, "elements of the shuffle")
flags.DEFINE_integer("batch_size", 1, "pictures a step")
flags.DEFINE_integer("steps", 900, "steps of the training")
flags.DEFINE_integer("checkpoint_every", 500, "steps between two checkpoints")

IMG_WIDTH = IMG_HEIGHT = 128


def load(image_file):
    image = tf.io.decode_jpeg(tf.io.read_file(image_file))
    w = tf.shape(image)[1] // 2
    input_image = tf.cast(image[:, w:, :], tf.float32)
    real_image = tf.cast(image[:, :w, :], tf.float32)
    return input_image, real_image


def resize(input_image, real_image, height, width):
    method = tf.image.ResizeMethod.NEAREST_NEIGHBOR
    return (
        tf.image.resize(input_image, [height, width], method=method),
        tf.image.resize(real_image, [height, width], method=method),
    )


def random_jitter(input_image, real_image):
    input_image, real_image = resize(input_image, real_image, IMG_HEIGHT + 16, IMG_WIDTH + 16)
    stacked_image = tf.stack([input_image, real_image], axis=0)
    cropped_image = tf.image.random_crop(stacked_image, size=[2, IMG_HEIGHT, IMG_WIDTH, 3])
    input_image, real_image = cropped_image[0], cropped_image[1]
    if tf.random.uniform(()) > 0.5:
        input_image = tf.image.flip_left_right(input_image)
        real_image = tf.image.flip_left_right(real_image)
    return input_image, real_image


def load_image_train(image_file):
    input_image, real_image = random_jitter(*load(image_file))
    return (input_image / 127.5) - 1, (real_image / 127.5) - 1


def Generator():
    inputs = tf.keras.layers.Input(shape=[IMG_HEIGHT, IMG_WIDTH, 3])
    down1 = tf.keras.layers.Conv2D(8, 4, strides=2, padding="same", activation="relu")(inputs)
    down2 = tf.keras.layers.Conv2D(16, 4, strides=2, padding="same", activation="relu")(down1)
    down3 = tf.keras.layers.Conv2D(32, 4, strides=2, padding="same", activation="relu")(down2)
    up1 = tf.keras.layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu")(down3)
    up2 = tf.keras.layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu")(
        tf.keras.layers.Concatenate()([up1, down2])
    )
    last = tf.keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")(
        tf.keras.layers.Concatenate()([up2, down1])
    )
    return tf.keras.Model(inputs=inputs, outputs=last)


def Discriminator():
    inp = tf.keras.layers.Input(shape=[IMG_HEIGHT, IMG_WIDTH, 3])
    tar = tf.keras.layers.Input(shape=[IMG_HEIGHT, IMG_WIDTH, 3])
    x = tf.keras.layers.concatenate([inp, tar])
    x = tf.keras.layers.Conv2D(8, 4, strides=2, padding="same", activation="relu")(x)
    x = tf.keras.layers.Conv2D(16, 4, strides=2, padding="same", activation="relu")(x)
    return tf.keras.Model(inputs=[inp, tar], outputs=tf.keras.layers.Conv2D(1, 4)(x))


def main(_):
    train_dataset = tf.data.Dataset.list_files(FLAGS.path + "/*.jpg")
    train_dataset = train_dataset.map(load_image_train, num_parallel_calls=tf.data.AUTOTUNE)
    train_dataset = train_dataset.shuffle(FLAGS.buffer_size)
    train_dataset = train_dataset.batch(FLAGS.batch_size)

    generator, discriminator = Generator(), Discriminator()
    loss_object = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    generator_optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
    discriminator_optimizer = tf.keras.optimizers.Adam(2e-4, beta_1=0.5)
    checkpoint = tf.train.Checkpoint(generator=generator, discriminator=discriminator)

    @tf.function
    def train_step(input_image, target):
        with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
            gen_output = generator(input_image, training=True)
            disc_real_output = discriminator([input_image, target], training=True)
            disc_generated_output = discriminator([input_image, gen_output], training=True)
            gan_loss = loss_object(tf.ones_like(disc_generated_output), disc_generated_output)
            gen_total_loss = gan_loss + 100 * tf.reduce_mean(tf.abs(target - gen_output))
            disc_loss = loss_object(tf.ones_like(disc_real_output), disc_real_output)
            disc_loss += loss_object(tf.zeros_like(disc_generated_output), disc_generated_output)
        generator_gradients = gen_tape.gradient(gen_total_loss, generator.trainable_variables)
        discriminator_gradients = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
        generator_optimizer.apply_gradients(zip(generator_gradients, generator.trainable_variables, strict=True))
        discriminator_optimizer.apply_gradients(
            zip(discriminator_gradients, discriminator.trainable_variables, strict=True)
        )

    start = time.time()
    for step, (input_image, target) in train_dataset.repeat().take(FLAGS.steps).enumerate():
        if step > 0 and step % 150 == 0:
            print(f"step {int(step)}: 150 steps in {time.time() - start:.3f} s", flush=True)
            start = time.time()
        train_step(input_image, target)
        if (step + 1) % FLAGS.checkpoint_every == 0:
            checkpoint.save(file_prefix="training_checkpoints/ckpt")


if __name__ == "__main__":
    app.run(main)
