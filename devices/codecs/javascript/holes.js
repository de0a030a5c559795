// JSON writes NaN and Infinity as null: the places in an answer where that happened.
(answer) => {
  const found = [];
  const look = (value, path) => {
    if (typeof value === "number") {
      if (value - value !== 0) found.push(path);
    } else if (typeof value === "object" && value && typeof value.toJSON !== "function" && found.length < 100) {
      if (Array.isArray(value)) for (let i = 0; i < value.length; i++) look(value[i], [...path, i]);
      else for (const key of Object.keys(value)) look(value[key], [...path, key]);
    }
  };
  look(answer, []);
  return JSON.stringify(found);
}
