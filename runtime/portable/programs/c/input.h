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

/* Values of 16 bit in the order of a .wav into `tensor`: what is too much is cut off, the rest stays zero. */
void sound_tensor(const uint8_t *data, size_t count, Tensor *tensor);

/* Zeros as input number `place`, with 1 for a size that is not fixed; the caller frees its data. */
Tensor new_input(int place);

/* 1 if a tensor has the rank and the fixed sizes of input number `place`. */
int fits_input(const Tensor *tensor, int place);

/* The file `path` as input number `place`; the caller frees its data. */
Tensor read_input(const char *path, int place);

/* The content of a file; the caller frees it. */
uint8_t *read_file(const char *path, size_t *size);
#ifdef __cplusplus
}
#endif
#endif
