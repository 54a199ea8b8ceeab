// The self-test on a JVM: `make test` runs it. It compares the outputs with those of the cases of the bundle.
package edgekit.model

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.max
import kotlin.system.exitProcess

fun main(arguments: Array<String>) {
    val (file, cases) = arguments.map(::File)
    val wrong = Model.open(file).use { selfTest(it, cases) }
    exitProcess(if (wrong > 0) 1 else 0)
}

/** Print how many cases there are and which outputs are wrong; returns how many of them. */
fun selfTest(model: Model, folder: File): Int {
    val cases = records(File(folder, "cases.bin")).groupBy { it.number }
    val wrong = exampleDiffers(model, folder) + cases.values.sumOf { wrongOutputs(model, it) }
    println("${cases.size} cases, ${if (wrong > 0) "NOT all" else "all"} as expected (${model.backend})")
    return wrong
}

private class Record(val number: Int, val kind: String, val place: Int, val tensor: Tensor)

/** Records of a line "TYPE SIZE,SIZE,... CASE:KIND:PLACE", then the plain numbers. */
private fun records(file: File): List<Record> {
    val numbers = ByteBuffer.wrap(file.readBytes())
    return generateSequence { if (numbers.hasRemaining()) record(numbers) else null }.toList()
}

private fun record(numbers: ByteBuffer): Record {
    val (name, sizes, key) = line(numbers).split(" ")
    val (number, kind, place) = key.split(":")
    val type = Type.valueOf(name.uppercase())
    val shape = if (sizes == "-") longArrayOf() else sizes.split(",").map { it.toLong() }.toLongArray()
    val bytes = ByteArray((shape.fold(1L) { product, size -> product * size } * type.size).toInt())
    numbers.get(bytes)
    return Record(number.toInt(), kind, place.toInt(), Tensor(type, shape, bytes))
}

private fun line(numbers: ByteBuffer): String =
    generateSequence { numbers.get().toInt().toChar() }.takeWhile { it != '\n' }.joinToString("")

private fun wrongOutputs(model: Model, case: List<Record>): Int {
    val kinds = case.groupBy({ it.kind }, { it.tensor })
    val (inputs, expected, limits) = listOf("in", "out", "limit").map { kinds.getValue(it) }
    return model.run(*inputs.toTypedArray()).withIndex().count { (place, output) ->
        val difference = difference(output, expected[place])
        val isWrong = !(difference <= limits[place][0])
        if (isWrong) System.err.println("case ${case[0].number}, output $place differs by $difference, at most ${limits[place][0]}")
        isWrong
    }
}

/** 1 if the input made of the example file is not the one that edgekit makes of it. */
private fun exampleDiffers(model: Model, folder: File): Int {
    val picture = File(folder, "example.ppm")
    val sound = File(folder, "example.wav")
    val input = when {
        picture.exists() -> model.input(picture(ByteBuffer.wrap(picture.readBytes())))
        sound.exists() -> model.input(samples(sound.readBytes()))
        else -> return 0
    }
    val (expected, limit) = records(File(folder, "example.bin")).map { it.tensor }
    val difference = difference(input, expected)
    if (difference <= limit[0]) return 0
    System.err.println("the input made of the example differs by $difference")
    return 1
}

/** The picture of a .ppm whose head has three lines. */
private fun picture(numbers: ByteBuffer): Picture {
    val (_, sizes, _) = List(3) { line(numbers) }
    val (width, height) = sizes.split(" ").map { it.toInt() }
    return Picture(width, height, ByteArray(numbers.remaining()).also { numbers.get(it) })
}

/** The samples of a .wav whose head has 44 bytes. */
private fun samples(content: ByteArray): ShortArray {
    val numbers = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
    return ShortArray((content.size - 44) / 2) { numbers.getShort(44 + 2 * it) }
}

/** The largest difference; NaN where one side alone is not a number, infinite where the shapes differ. */
private fun difference(got: Tensor, expected: Tensor): Double {
    if (!got.shape.contentEquals(expected.shape)) return Double.POSITIVE_INFINITY
    return (0 until got.count).fold(0.0) { largest, index -> max(largest, abs(got[index] - expected[index])) }
}
