package edgekit.model

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The types of numbers, with the code that the files in C have for each, and the bytes of one number. */
enum class Type(internal val code: Int, internal val size: Int) {
    FLOAT32(1, 4), UINT8(2, 1), INT8(3, 1), UINT16(4, 2), INT16(5, 2), INT32(6, 4), INT64(7, 8), BOOL(9, 1),
    FLOAT64(11, 8), UINT32(12, 4), UINT64(13, 8),
}

/** Numbers in a shape: `bytes` has them one after the other, the last axis first, in the byte order of this machine. */
class Tensor(val type: Type, val shape: LongArray, val bytes: ByteArray) {
    private val numbers = ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder())

    init {
        val needed = shape.fold(type.size.toLong()) { product, size -> product * size }
        require(needed == bytes.size.toLong()) { "${bytes.size} bytes are not a tensor of shape ${shape.toList()}" }
    }

    /** How many numbers it has. */
    val count get() = bytes.size / type.size

    /** Number `index` as a real number. */
    operator fun get(index: Int): Double = when (type) {
        Type.FLOAT32 -> numbers.getFloat(4 * index).toDouble()
        Type.FLOAT64 -> numbers.getDouble(8 * index)
        Type.UINT8, Type.BOOL -> numbers.get(index).toUByte().toDouble()
        Type.INT8 -> numbers.get(index).toDouble()
        Type.UINT16 -> numbers.getShort(2 * index).toUShort().toDouble()
        Type.INT16 -> numbers.getShort(2 * index).toDouble()
        Type.UINT32 -> numbers.getInt(4 * index).toUInt().toDouble()
        Type.INT32 -> numbers.getInt(4 * index).toDouble()
        Type.UINT64 -> numbers.getLong(8 * index).toULong().toDouble()
        Type.INT64 -> numbers.getLong(8 * index).toDouble()
    }

    /** All numbers, rounded to float32. */
    fun toFloats() = FloatArray(count) { this[it].toFloat() }

    companion object {
        /** A float32 tensor: `Tensor.of(values, 1, 8, 8)`. */
        fun of(values: FloatArray, vararg shape: Long): Tensor {
            val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.nativeOrder())
            bytes.asFloatBuffer().put(values)
            return Tensor(Type.FLOAT32, shape, bytes.array())
        }
    }
}

/** A picture: red, green and blue of each pixel, row by row from the top. */
class Picture(val width: Int, val height: Int, val rgb: ByteArray) {
    init {
        require(width > 0 && height > 0 && 3L * width * height == rgb.size.toLong()) {
            "${rgb.size} bytes are not a picture of $width x $height pixels"
        }
    }

    companion object {
        /** From pixels 0xAARRGGBB, which `Bitmap.getPixels` on Android and `BufferedImage.getRGB` on a JVM give. */
        fun ofPixels(width: Int, height: Int, pixels: IntArray): Picture {
            val rgb = ByteArray(3 * pixels.size) { (pixels[it / 3] shr (16 - 8 * (it % 3))).toByte() }
            return Picture(width, height, rgb)
        }
    }
}

/** One class with its probability, from 0 to 1. */
data class Score(val label: String, val probability: Double)
