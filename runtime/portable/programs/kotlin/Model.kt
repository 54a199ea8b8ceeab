package edgekit.model

import java.io.Closeable
import java.io.File
import kotlin.math.abs
import kotlin.math.exp

/**
 * The model. Open it once, away from the main thread, and close it at the end:
 *
 *     val model = Model.open(assets.open("model.onnx").use { it.readBytes() })
 *     val (label, probability) = model.predict(picture).first()
 *
 * A wrong input is an IllegalArgumentException and leaves the model as it was; everything else that can go wrong is an
 * IllegalStateException. Any thread may call it: a call waits for the one before. A process has one model open at a time.
 */
class Model private constructor(
    /** Name and version of what runs the model. */
    val backend: String,
) : Closeable {
    private val facts = Facts(Native.facts())

    /** The names of the classes, in the order of the scores. */
    val labels: List<String> = Native.labels().decodeToString().lines().dropLast(1)

    /** Every output for one tensor per input. */
    fun run(vararg inputs: Tensor): List<Tensor> = whileOpen {
        require(inputs.size == facts.inputCount) { "the model takes ${facts.inputCount} inputs, not ${inputs.size}" }
        inputs.forEachIndexed { place, input -> Native.setTensor(place, input.type.code, input.shape, input.bytes) }
        Native.run()
        List(facts.outputCount) { Native.tensor(isOutput = true, it) }
    }

    /** The best classes of a picture, best first. */
    fun predict(picture: Picture, count: Int = 5): List<Score> = scores(run(input(picture)), count)

    /** The best classes of a sound: 16 bit, one channel, at the rate of the model. */
    fun predict(samples: ShortArray, count: Int = 5): List<Score> = scores(run(input(samples)), count)

    /** The best classes of numbers that have the shape of the first input, already as the network takes them. */
    fun predict(values: FloatArray, count: Int = 5): List<Score> = scores(run(input(values)), count)

    /** What the network takes for a picture: resized, cut and normalised. */
    fun input(picture: Picture): Tensor = whileOpen {
        require(facts.kind == Kind.IMAGE) { "the model takes no pictures" }
        Native.setPicture(picture.rgb, picture.width, picture.height)
        Native.tensor(isOutput = false, 0)
    }

    /** What the network takes for a sound: cut, or filled with zeros, to the length of the model. */
    fun input(samples: ShortArray): Tensor = whileOpen {
        require(facts.kind == Kind.AUDIO) { "the model takes no sound" }
        Native.setSound(samples)
        Native.tensor(isOutput = false, 0)
    }

    /** Numbers in the shape of the first input, with 1 for a size that is not fixed. */
    fun input(values: FloatArray): Tensor {
        val shape = Native.wanted(0).map { if (it == 0L) 1L else it }.toLongArray()
        return Tensor.of(values, *shape)
    }

    /** Free the model. Closing it twice does nothing. */
    override fun close() = synchronized(Native) {
        if (current === this) {
            Native.close()
            current = null
        }
    }

    private fun scores(outputs: List<Tensor>, count: Int): List<Score> {
        check(facts.isClassification) { "the model gives no classes: use run" }
        val probabilities = probabilities(outputs[0])
        val best = probabilities.indices.sortedByDescending { probabilities[it] }.take(count)
        return best.map { Score(labels.getOrElse(it) { _ -> "$it" }, probabilities[it]) }
    }

    /** Logits or probabilities as probabilities. */
    private fun probabilities(output: Tensor): DoubleArray {
        val scores = DoubleArray(output.count) { output[it] }
        if (facts.isProbability || (scores.all { it >= 0 } && abs(scores.sum() - 1) <= 1e-3)) return scores
        val largest = scores.max()
        val shares = DoubleArray(scores.size) { exp(scores[it] - largest) }
        val whole = shares.sum()
        return DoubleArray(scores.size) { shares[it] / whole }
    }

    private inline fun <T> whileOpen(work: () -> T): T = synchronized(Native) {
        check(current === this) { "the model is closed" }
        work()
    }

    companion object {
        private var current: Model? = null

        /** Open the model in a file. */
        fun open(file: File, threads: Int = 1): Model = synchronized(Native) {
            check(current == null) { "a process has one model open at a time: close the other" }
            Model(Native.open(file.path.encodeToByteArray(), threads)).also { current = it }
        }

        /** Open the model in the content of a file, such as an asset of an app. */
        fun open(bytes: ByteArray, threads: Int = 1): Model {
            val file = File.createTempFile("model", null)
            try {
                file.writeBytes(bytes)
                return open(file, threads)
            } finally {
                file.delete()
            }
        }
    }
}
