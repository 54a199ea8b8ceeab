/* Files to inputs of the model: images (.ppm, .pgm), sound (.wav) and arrays (.npy). */
#ifndef INPUT_H
#define INPUT_H

#include "model.h"

typedef struct { int height, width, channels; uint8_t *pixels; } Image;

#ifdef __cplusplus
extern "C" {
#endif
/* A black image; the caller frees its pixels. */
Image new_image(int height, int width, int channels);

/* Resize, cut and normalise an image into `tensor`, whose data has the size of the model's input. Frees the pixels. */
void image_tensor(Image image, Tensor *tensor);

/* The file `path` as input number `place`; the caller frees its data. */
Tensor read_input(const char *path, int place);

/* The content of a file; the caller frees it. */
uint8_t *read_file(const char *path, size_t *size);
#ifdef __cplusplus
}
#endif
#endif
