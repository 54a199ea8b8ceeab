/* A loaded model: the same four functions for ONNX Runtime and for LiteRT. Errors end the program, see fail.h. */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>
#include "settings.h"

typedef struct { Type type; int rank; int64_t sizes[MAX_RANK]; size_t bytes; void *data; } Tensor;

#ifdef __cplusplus
extern "C" {
#endif
/* Load the model `path` on so many threads; returns the name and version of the backend. */
const char *model_open(const char *path, int threads);

/* Run on settings.input_count inputs. The data of the settings.output_count outputs is valid until the next run. */
void model_run(const Tensor *inputs, Tensor *outputs);

/* Free what the model takes; another can be opened then. */
void model_close(void);

/* Bytes of one number of this type. */
size_t size_of(Type type);

/* The number of elements of a tensor. */
size_t count_of(const Tensor *tensor);

/* Element `index` of a tensor as a real number. */
double value_of(const Tensor *tensor, size_t index);
#ifdef __cplusplus
}
#endif
#endif
