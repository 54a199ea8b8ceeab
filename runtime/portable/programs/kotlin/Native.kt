package edgekit.model

/** The functions in jni.c, which share one model and are called one at a time. */
internal object Native {
    init {
        System.loadLibrary("edgekit_model")
    }

    external fun open(path: ByteArray, threads: Int): String
    external fun close()

    external fun facts(): IntArray
    external fun labels(): ByteArray
    external fun wanted(place: Int): LongArray

    external fun setTensor(place: Int, type: Int, shape: LongArray, bytes: ByteArray)
    external fun setPicture(rgb: ByteArray, width: Int, height: Int)
    external fun setSound(samples: ShortArray)
    external fun run()

    external fun type(isOutput: Boolean, place: Int): Int
    external fun shape(isOutput: Boolean, place: Int): LongArray
    external fun bytes(isOutput: Boolean, place: Int): ByteArray

    fun tensor(isOutput: Boolean, place: Int): Tensor {
        val type = type(isOutput, place)
        return Tensor(Type.entries.first { it.code == type }, shape(isOutput, place), bytes(isOutput, place))
    }
}

/** What the model is, in the order of `Native.facts`. */
internal class Facts(facts: IntArray) {
    val inputCount = facts[0]
    val outputCount = facts[1]
    val isClassification = facts[2] != 0
    val isProbability = facts[3] != 0
    val kind = Kind.entries[facts[4]]
}

internal enum class Kind { ARRAY, IMAGE, AUDIO }
