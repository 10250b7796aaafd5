// What two DTDL parsers that are not ours say of models: one line of JSON.
// Usage: node witness.mjs FOLDER (every *.json in it is one model or an array of them)
import fs from 'node:fs'
import path from 'node:path'
import azure from '@azure/dtdl-parser'
import { getInterop } from '@digicatapult/dtdl-parser'

const files = fs
  .readdirSync(process.argv[2], { recursive: true })
  .filter((name) => name.endsWith('.json'))
  .map((name) => path.join(process.argv[2], name))
const models = files.flatMap((file) => JSON.parse(fs.readFileSync(file, 'utf8')))

const verdict = async (parse) => {
  try {
    const elements = Object.values(await parse())
    return { accepted: true, elements: elements.length }
  } catch (error) {
    const details = error._parsingErrors ?? error.message ?? String(error)
    return { accepted: false, reason: JSON.stringify(details).slice(0, 2000) }
  }
}

const official = async () => {
  const interop = await getInterop()
  return JSON.parse(interop.parse(JSON.stringify(models)))
}
const typescript = async () => {
  const parser = azure.createParser(azure.ModelParsingOption.PermitAnyTopLevelElement)
  return parser.parse(models.map((model) => JSON.stringify(model)))
}

console.log(
  JSON.stringify({
    models: models.length,
    '@digicatapult/dtdl-parser': await verdict(official),
    '@azure/dtdl-parser': await verdict(typescript),
  }),
)
