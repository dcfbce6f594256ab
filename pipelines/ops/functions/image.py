"""Images."""

from __future__ import annotations

FUNCTIONS = {
    "tf.image.adjust_brightness": "image, delta",
    "tf.image.adjust_contrast": "images, contrast_factor",
    "tf.image.adjust_gamma": "image, gamma=1, gain=1",
    "tf.image.adjust_hue": "image, delta, name=None",
    "tf.image.adjust_jpeg_quality": "image, jpeg_quality, dct_method='', name=None",
    "tf.image.adjust_saturation": "image, saturation_factor, name=None",
    "tf.image.central_crop": "image, central_fraction",
    "tf.image.combined_non_max_suppression": (
        "boxes, scores, max_output_size_per_class, max_total_size, iou_threshold=0.5, score_threshold=-inf, "
        "pad_per_class=False, clip_boxes=True, name=None"
    ),
    "tf.image.convert_image_dtype": "image, dtype, saturate=False, name=None",
    "tf.image.crop_and_resize": (
        "image, boxes, box_indices, crop_size, method='bilinear', extrapolation_value=0.0, name=None"
    ),
    "tf.image.crop_to_bounding_box": "image, offset_height, offset_width, target_height, target_width",
    "tf.image.decode_and_crop_jpeg": (
        "contents, crop_window, channels=0, ratio=1, fancy_upscaling=True, try_recover_truncated=False, "
        "acceptable_fraction=1, dct_method='', name=None"
    ),
    "tf.image.decode_bmp": "contents, channels=0, name=None",
    "tf.image.decode_gif": "contents, name=None",
    "tf.image.decode_image": "contents, channels=None, dtype=tf.uint8, name=None, expand_animations=True",
    "tf.image.decode_jpeg": (
        "contents, channels=0, ratio=1, fancy_upscaling=True, try_recover_truncated=False, "
        "acceptable_fraction=1, dct_method='', name=None"
    ),
    "tf.image.decode_png": "contents, channels=0, dtype=tf.uint8, name=None",
    "tf.image.decode_webp": "contents, channels=0, dtype=tf.uint8, name=None",
    "tf.image.draw_bounding_boxes": "images, boxes, colors, name=None",
    "tf.image.encode_jpeg": (
        "image, format='', quality=95, progressive=False, optimize_size=False, chroma_downsampling=True, "
        "density_unit='in', x_density=300, y_density=300, xmp_metadata='', name=None"
    ),
    "tf.image.encode_png": "image, compression=-1, name=None",
    "tf.image.extract_glimpse": "input, size, offsets, centered=True, normalized=True, noise='uniform', name=None",
    "tf.image.extract_jpeg_shape": "contents, output_type=tf.int32, name=None",
    "tf.image.extract_patches": "images, sizes, strides, rates, padding, name=None",
    "tf.image.flip_left_right": "image",
    "tf.image.flip_up_down": "image",
    "tf.image.grayscale_to_rgb": "images, name=None",
    "tf.image.hsv_to_rgb": "images, name=None",
    "tf.image.image_gradients": "image",
    "tf.image.is_jpeg": "contents, name=None",
    "tf.image.non_max_suppression": (
        "boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=-inf, name=None"
    ),
    "tf.image.non_max_suppression_overlaps": (
        "overlaps, scores, max_output_size, overlap_threshold=0.5, score_threshold=-inf, name=None"
    ),
    "tf.image.non_max_suppression_padded": (
        "boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=-inf, pad_to_max_output_size=False, "
        "name=None, sorted_input=False, canonicalized_coordinates=False, tile_size=512"
    ),
    "tf.image.non_max_suppression_with_scores": (
        "boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=-inf, soft_nms_sigma=0.0, name=None"
    ),
    "tf.image.pad_to_bounding_box": "image, offset_height, offset_width, target_height, target_width",
    "tf.image.per_image_standardization": "image",
    "tf.image.psnr": "a, b, max_val, name=None",
    "tf.image.random_brightness": "image, max_delta, seed=None",
    "tf.image.random_contrast": "image, lower, upper, seed=None",
    "tf.image.random_crop": "value, size, seed=None, name=None",
    "tf.image.random_flip_left_right": "image, seed=None",
    "tf.image.random_flip_up_down": "image, seed=None",
    "tf.image.random_hue": "image, max_delta, seed=None",
    "tf.image.random_jpeg_quality": "image, min_jpeg_quality, max_jpeg_quality, seed=None",
    "tf.image.random_saturation": "image, lower, upper, seed=None",
    "tf.image.resize": "images, size, method='bilinear', preserve_aspect_ratio=False, antialias=False, name=None",
    "tf.image.resize_with_crop_or_pad": "image, target_height, target_width",
    "tf.image.resize_with_pad": "image, target_height, target_width, method='bilinear', antialias=False",
    "tf.image.rgb_to_grayscale": "images, name=None",
    "tf.image.rgb_to_hsv": "images, name=None",
    "tf.image.rgb_to_yiq": "images",
    "tf.image.rgb_to_yuv": "images",
    "tf.image.rot90": "image, k=1, name=None",
    "tf.image.sample_distorted_bounding_box": (
        "image_size, bounding_boxes, seed=0, min_object_covered=0.1, aspect_ratio_range=None, area_range=None, "
        "max_attempts=None, use_image_if_no_bounding_boxes=None, name=None"
    ),
    "tf.image.sobel_edges": "image",
    "tf.image.ssim": "img1, img2, max_val, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03, return_index_map=False",
    "tf.image.ssim_multiscale": (
        "img1, img2, max_val, power_factors=(0.0448, 0.2856, 0.3001, 0.2363, 0.1333), filter_size=11, "
        "filter_sigma=1.5, k1=0.01, k2=0.03"
    ),
    "tf.image.stateless_random_brightness": "image, max_delta, seed",
    "tf.image.stateless_random_contrast": "image, lower, upper, seed",
    "tf.image.stateless_random_crop": "value, size, seed, name=None",
    "tf.image.stateless_random_flip_left_right": "image, seed",
    "tf.image.stateless_random_flip_up_down": "image, seed",
    "tf.image.stateless_random_hue": "image, max_delta, seed",
    "tf.image.stateless_random_jpeg_quality": "image, min_jpeg_quality, max_jpeg_quality, seed",
    "tf.image.stateless_random_saturation": "image, lower, upper, seed=None",
    "tf.image.stateless_sample_distorted_bounding_box": (
        "image_size, bounding_boxes, seed, min_object_covered=0.1, aspect_ratio_range=None, area_range=None, "
        "max_attempts=None, use_image_if_no_bounding_boxes=None, name=None"
    ),
    "tf.image.total_variation": "images, name=None",
    "tf.image.transpose": "image, name=None",
    "tf.image.yiq_to_rgb": "images",
    "tf.image.yuv_to_rgb": "images",
}
