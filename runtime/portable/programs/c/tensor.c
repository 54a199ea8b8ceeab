/* What both backends share: numbers of every type. */
#include "fail.h"
#include "model.h"

size_t size_of(Type type) {
    switch (type) {
    case UINT8: case INT8: case BOOL: return 1;
    case UINT16: case INT16: return 2;
    case FLOAT32: case INT32: case UINT32: return 4;
    case FLOAT64: case INT64: case UINT64: return 8;
    }
    fail(UNREADABLE, "the model has a type of number that this program does not know (%d)", (int)type);
}

size_t count_of(const Tensor *tensor) { return tensor->bytes / size_of(tensor->type); }

double value_of(const Tensor *tensor, size_t index) {
    switch (tensor->type) {
    case FLOAT32: return ((const float *)tensor->data)[index];
    case FLOAT64: return ((const double *)tensor->data)[index];
    case UINT8: case BOOL: return ((const uint8_t *)tensor->data)[index];
    case INT8: return ((const int8_t *)tensor->data)[index];
    case UINT16: return ((const uint16_t *)tensor->data)[index];
    case INT16: return ((const int16_t *)tensor->data)[index];
    case UINT32: return ((const uint32_t *)tensor->data)[index];
    case INT32: return ((const int32_t *)tensor->data)[index];
    case UINT64: return (double)((const uint64_t *)tensor->data)[index];
    case INT64: return (double)((const int64_t *)tensor->data)[index];
    }
    return 0;
}
