// Filter of the gallery by group and by text. Without this script, all images are shown.
"use strict";
{
  const filter = document.getElementById("filter");
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const buttons = [...filter.querySelectorAll("button")];
  const cards = [...document.getElementById("cards").children].map((element) => {
    // Search the alternative texts of the images, too.
    const alternatives = [...element.querySelectorAll("img")].map((image) => image.alt);
    return {
      element,
      groups: element.dataset.groups.split(" "),
      text: [element.textContent, ...alternatives].join(" ").toLowerCase(),
    };
  });

  const update = () => {
    const group = buttons.find((button) => button.getAttribute("aria-pressed") === "true").dataset.group;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const card of cards) {
      const matches = (!group || card.groups.includes(group)) && words.every((word) => card.text.includes(word));
      card.element.hidden = !matches;
      count += matches;
    }
    shown.textContent = `${count} of ${cards.length} ${cards.length === 1 ? "image" : "images"}`;
  };

  for (const button of buttons) {
    button.addEventListener("click", () => {
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      update();
    });
  }
  search.addEventListener("input", update);
  filter.hidden = false;
  update();
}
