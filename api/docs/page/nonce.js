// Redoc writes its styles into elements of its own, some before it can be told of the number that lets it.
const { nonce } = document.getElementById("redoc").dataset;
const create = document.createElement.bind(document);
document.createElement = (name, options) => {
  const element = create(name, options);
  if (name.toLowerCase() === "style") element.nonce = nonce;
  return element;
};
