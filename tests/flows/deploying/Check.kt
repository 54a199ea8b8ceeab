// What an app does with the class `Model`, for test_kotlin_program.py: prints one line for each thing.
package edgekit.model

import java.io.File
import java.nio.ByteBuffer
import kotlin.concurrent.thread

private fun error(work: () -> Unit): String =
    runCatching(work).exceptionOrNull()?.let { "${it.javaClass.simpleName}: ${it.message}" } ?: "no error"

private fun shown(scores: List<Score>) = scores.joinToString { "%.2f %% %s".format(100 * it.probability, it.label) }

fun main(arguments: Array<String>) {
    val (file, damaged, pixels) = arguments.map(::File)
    val numbers = ByteBuffer.wrap(pixels.readBytes()).asIntBuffer()
    val picture = Picture.ofPixels(40, 50, IntArray(2000) { numbers[it] })

    println("no file: ${error { Model.open(File("missing")) }}")
    println("damaged: ${error { Model.open(damaged) }}")
    val model = Model.open(file.readBytes())
    println("second: ${error { Model.open(file) }}")
    val best = shown(model.predict(picture))
    println("picture: $best")
    println("array: ${shown(model.predict(model.input(picture).toFloats())) == best}")

    println("size: ${error { model.predict(Picture(2, 2, ByteArray(3))) }}")
    println("sound: ${error { model.predict(ShortArray(3)) }}")
    println("shape: ${error { model.run(Tensor.of(FloatArray(6), 1, 6)) }}")
    println("type: ${error { model.run(Tensor(Type.UINT8, longArrayOf(1, 3, 24, 20), ByteArray(1440))) }}")
    println("count: ${error { model.run() }}")
    println("after wrong inputs: ${shown(model.predict(picture)) == best}")

    val same = java.util.concurrent.atomic.AtomicInteger()
    List(4) { thread { repeat(50) { if (shown(model.predict(picture)) == best) same.incrementAndGet() } } }.forEach { it.join() }
    println("threads: $same")

    repeat(2) { model.close() }
    println("closed: ${error { model.predict(picture) }}")
    println("opened again: ${Model.open(file, threads = 2).use { shown(it.predict(picture)) == best }}")
}
