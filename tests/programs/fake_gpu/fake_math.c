#include "fake_math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { INT8 = 0, INT32 = 2, FLOAT16 = 6, FLOAT32 = 7, FLOAT64 = 8, BFLOAT16 = 9 };

size_t fake_type_size(int type)
{
    switch (type) {
    case INT8: return 1;
    case FLOAT16:
    case BFLOAT16: return 2;
    case INT32:
    case FLOAT32: return 4;
    case FLOAT64: return 8;
    default: return 0;
    }
}

static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31;
    int mantissa = h & 1023;
    double value = exponent == 31  ? (mantissa ? (double)NAN : (double)INFINITY)
                   : exponent == 0 ? ldexp(mantissa, -24)
                                   : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -value : value;
}

/* To the nearest that the type has, to even where two are as near. */
static uint16_t to_half(double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double size = fabs(value);
    int exponent;
    if (isnan(value))
        return 0x7e00;
    if (size >= 65520)
        return sign | 0x7c00;
    frexp(size, &exponent);
    if (exponent < -13)
        exponent = -13;
    double steps = nearbyint(ldexp(size, 11 - exponent));
    uint16_t bits = (uint16_t)((unsigned)(exponent + 13) << 10);
    return (uint16_t)(sign | (size == 0 ? 0 : (unsigned)bits + (unsigned)steps));
}

static double bfloat_value(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static uint16_t to_bfloat(double value)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    if (isnan(value))
        return 0x7fc0;
    bits += 0x7fff + (bits >> 16 & 1);
    return (uint16_t)(bits >> 16);
}

static double load(const char *at, int type)
{
    uint16_t narrow;
    float single;
    double whole;
    int32_t number;
    switch (type) {
    case FLOAT16: memcpy(&narrow, at, 2); return half_value(narrow);
    case BFLOAT16: memcpy(&narrow, at, 2); return bfloat_value(narrow);
    case FLOAT32: memcpy(&single, at, 4); return (double)single;
    case FLOAT64: memcpy(&whole, at, 8); return whole;
    default: memcpy(&number, at, 4); return number;
    }
}

static double rounded(double value, int type, char *at)
{
    uint16_t narrow = type == FLOAT16 ? to_half(value) : to_bfloat(value);
    float single = (float)value;
    int32_t number = type == INT32 ? (int32_t)value : 0;
    switch (type) {
    case FLOAT16:
    case BFLOAT16: memcpy(at, &narrow, 2); break;
    case FLOAT32: memcpy(at, &single, 4); break;
    case FLOAT64: memcpy(at, &value, 8); break;
    default: memcpy(at, &number, 4); break;
    }
    return load(at, type);
}

void fake_sum(char *to, const char *from, size_t stride, int ranks, size_t count, int type)
{
    size_t size = fake_type_size(type);
    for (size_t i = 0; i < count; i++) {
        double sum = load(from + i * size, type);
        for (int rank = 1; rank < ranks; rank++)
            sum = rounded(sum + load(from + (size_t)rank * stride + i * size, type), type, to + i * size);
        rounded(sum, type, to + i * size);
    }
}
