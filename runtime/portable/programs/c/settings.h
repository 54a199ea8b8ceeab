/* What the program knows of its model. `settings.c` was generated from the bundle; everything else is the same for every
 * model. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdint.h>

enum { MAX_RANK = 8, MAX_CHANNELS = 4 };

/* The numbers are those of ONNX. */
typedef enum {
    FLOAT32 = 1, UINT8 = 2, INT8 = 3, UINT16 = 4, INT16 = 5, INT32 = 6, INT64 = 7, BOOL = 9, FLOAT64 = 11, UINT32 = 12,
    UINT64 = 13
} Type;

typedef enum { ARRAY, IMAGE, AUDIO } InputKind;
typedef enum { NEAREST, BOX, BILINEAR, HAMMING, BICUBIC, LANCZOS } Interpolation;

/* An input or output of the file; a size of 0 is any size. */
typedef struct { const char *name; Type type; int rank; int64_t sizes[MAX_RANK]; } TensorSettings;

/* Resized (to height and width, or the shorter side to `resize[0]`), cut, divided by `divisor`, then (x - mean) / std. */
typedef struct {
    int height, width, channels, resize_count, resize[2];
    Interpolation interpolation;
    float divisor, mean[MAX_CHANNELS], std[MAX_CHANNELS];
    int invert, is_bgr, is_nhwc;
} ImageSettings;

typedef struct { int rate, length; } AudioSettings;

typedef struct {
    const char *model_file, *example_file;
    int is_classification, is_probability, is_raw, input_count, output_count, label_count;
    const TensorSettings *inputs, *outputs;
    const char *const *labels;
    InputKind kind;
    ImageSettings image;
    AudioSettings audio;
} Settings;

#ifdef __cplusplus
extern "C" {
#endif
extern const Settings settings;
#ifdef __cplusplus
}
#endif
#endif
